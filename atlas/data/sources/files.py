"""Finding the files of a source: one file, those of a folder, or those that a glob matches, all of one kind."""

import glob
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from atlas.counts import counted
from atlas.errors import DataError

KINDS = ("csv", "tsv", "json", "jsonl", "parquet")


class Files(NamedTuple):
    """The files of a source, in order of their paths."""

    kind: str
    paths: Sequence[Path]


def find_files(source: str) -> Files | None:
    """The files that a source names; None when it is not a path of a known kind of file.

    `source` is a file, a folder or a glob, with or without a prefix `csv:`, `tsv:`, `json:`, `jsonl:` or `parquet:`.
    Raises `DataError` for a folder or glob without files, or with files of several kinds.
    """
    said, _, name = source.partition(":")
    if said == "package":
        return None
    kind, text = (said, name) if said in KINDS else (None, source)
    path = Path(text).expanduser()
    if not text or path.is_file():
        return _single(kind, path) if text else None
    if path.is_dir():
        return _of_one_kind(kind, [file for file in sorted(path.rglob("*")) if _visible(file, path)], source)
    if any(mark in text for mark in "*?["):
        found = sorted(map(Path, glob.glob(str(path), recursive=True)))  # noqa: PTH207 - the pattern may be absolute
        return _of_one_kind(kind, [file for file in found if file.is_file()], source)
    return _single(kind, path)


def kind_of(path: Path) -> str | None:
    """The kind of a file by its suffix, without a trailing `.gz`; None if unknown."""
    suffixes = [suffix.lower()[1:] for suffix in path.suffixes]
    last = next((suffix for suffix in reversed(suffixes) if suffix != "gz"), "")
    return last if last in KINDS else None


def _single(said: str | None, path: Path) -> Files | None:
    kind = said or kind_of(path)
    return Files(kind, [path]) if kind else None


def _visible(file: Path, folder: Path) -> bool:
    """Whether a file is data; names with a leading dot or underscore are metadata of the program that wrote it."""
    return file.is_file() and not any(part[0] in "._" for part in file.relative_to(folder).parts)


def _of_one_kind(said: str | None, paths: list[Path], source: str) -> Files:
    kinds = Counter(kind for path in paths if (kind := kind_of(path)))
    kind = said or (next(iter(kinds)) if len(kinds) == 1 else None)
    if kind is None and kinds:
        found = ", ".join(f"{count} .{name}" for name, count in sorted(kinds.items()))
        raise DataError(
            f"The dataset source {source!r} has files of several kinds: {found}. Give one kind, such as "
            f"{min(kinds)}:{source} or a glob that ends in .{min(kinds)}."
        )
    chosen = [path for path in paths if kind_of(path) == kind] or ([*paths] if said else [])
    if kind is None or not chosen:
        raise DataError(
            f"The dataset source {source!r} has no files that can be read: found "
            f"{counted(len(paths), 'file')}, none of them "
            f"{', '.join(f'.{one}' for one in KINDS)}, plain or with .gz."
        )
    return Files(kind, chosen)
