"""The shipped dataset: the real archive, its rows, and what happens without it."""

import subprocess
import sys
from collections import Counter

import pytest

from atlas.data.sources import vader
from atlas.data.sources.vader import SDIST, fetch_sdist, vader_rows
from atlas.errors import DataError


def test_the_rows(vader_cache):
    rows = list(vader_rows(vader_cache))
    assert Counter((row["domain"], row["label"]) for row in rows) == {
        ("amazon", "negative"): 1235,
        ("amazon", "positive"): 1750,
        ("movie", "negative"): 5076,
        ("movie", "positive"): 4996,
        ("nyt", "negative"): 1783,
        ("nyt", "positive"): 1187,
        ("tweets", "negative"): 1087,
        ("tweets", "positive"): 2345,
    }
    assert rows[0] == {
        "text": "troubleshooting ad-2500 and ad-2600 no picture scrolling b/w.",
        "label": "negative",
        "domain": "amazon",
        "score": -0.9,
    }
    assert all((row["score"] >= 0.5) == (row["label"] == "positive") and abs(row["score"]) >= 0.5 for row in rows)
    assert all(row["text"] and row["text"] == row["text"].strip() for row in rows)


def test_the_text_is_not_garbled(vader_cache):
    texts = [row["text"] for row in vader_rows(vader_cache)]
    assert any("cliché" in text for text in texts)
    assert not any("Ã" in text or "\ufffd" in text for text in texts)


def test_a_damaged_copy_is_downloaded_again(vader_cache, tmp_path, monkeypatch):
    whole = fetch_sdist(vader_cache).read_bytes()
    (tmp_path / SDIST).write_bytes(whole[:1000])
    downloads = []

    def download(folder, wanted):
        downloads.append(wanted)
        (folder / SDIST).write_bytes(whole)
        return folder / SDIST

    monkeypatch.setattr(vader, "_download", download)
    for _ in range(2):
        assert fetch_sdist(tmp_path).read_bytes() == whole
    assert downloads == [tmp_path / SDIST]
    assert [path.name for path in tmp_path.iterdir()] == [SDIST]


def test_another_archive_is_refused_and_not_kept(tmp_path, monkeypatch):
    def download(folder, wanted):
        (folder / SDIST).write_bytes(b"another archive")
        return folder / SDIST

    monkeypatch.setattr(vader, "_download", download)
    with pytest.raises(DataError, match=f"expected SHA-256 {vader.SHA256}, found "):
        fetch_sdist(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_an_index_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(DataError, match=r"pip could not download vaderSentiment==3.3.2") as caught:
        next(vader_rows(tmp_path))
    assert f"put {SDIST} at {tmp_path / SDIST} by hand" in str(caught.value)
    assert "No matching distribution" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_pip_itself_refuses_another_hash(tmp_path, monkeypatch):
    """The archive's own set-up code must not run before its hash is known to be right."""
    folder = tmp_path / "index"
    folder.mkdir()
    source = tmp_path / "vaderSentiment-3.3.2"
    source.mkdir()
    marker = tmp_path / "executed"
    (source / "setup.py").write_text(f"open({str(marker)!r}, 'w')\nfrom setuptools import setup\nsetup(name='x')")
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: vaderSentiment\nVersion: 3.3.2\n")
    subprocess.run([sys.executable, "-m", "tarfile", "-c", str(folder / SDIST), source.name], cwd=tmp_path, check=True)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    with pytest.raises(DataError, match=r"(?s)pip could not download.*HASH"):
        fetch_sdist(tmp_path / "cache")
    assert not marker.exists()
