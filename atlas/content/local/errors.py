"""Errors of a store in a folder: failed reads, failed writes, and corrupt content."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from atlas.errors import ContentError, ContentNotFound, CorruptContent
from atlas.ids import Cid


@contextmanager
def reading(cid: Cid, root: Path) -> Iterator[None]:
    """Turn an `OSError` while `cid` is read into `ContentNotFound` or `ContentError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise ContentNotFound(f"{cid} is not in {root}. {how_to_bring(cid)}", expected=cid) from error
    except OSError as error:
        raise ContentError(f"Cannot read {cid} in {root}: {error.strerror or error}.") from error


@contextmanager
def writing(what: str, root: Path) -> Iterator[None]:
    """Turn an `OSError` while something is stored into `ContentError`."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        advice = "Free some space there" if full else "Check the path and its permissions"
        raise ContentError(
            f"Cannot store {what} in {root}: {error.strerror or error}. Nothing was stored. {advice} and try again."
        ) from error


@contextmanager
def removing(root: Path) -> Iterator[None]:
    """Turn an `OSError` while content is removed into `ContentError`."""
    try:
        yield
    except OSError as error:
        raise ContentError(
            f"Cannot remove content from {root}: {error.strerror or error}. Check the path and its permissions."
        ) from error


def check_cid(expected: Cid, found: Cid, path: Path, changed: Sequence[str] = ()) -> None:
    """Raise `CorruptContent`, with the `changed` files of a folder, unless the CIDs are equal."""
    if found != expected:
        files = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        within = f" (changed files: {files})" if changed else ""
        raise CorruptContent(
            f"{path} is corrupt{within}: expected {expected}, found {found}. {how_to_bring(expected)}",
            expected=expected,
            found=found,
        )


def how_to_bring(cid: Cid) -> str:
    """The commands that restore a missing or corrupt content."""
    return (
        "Put the original again with `atlas content add FILE`, which also replaces a corrupt copy; or, if an IPFS "
        f"node holds it, fetch it with `atlas content get {cid} --ipfs RPC_ADDRESS`."
    )
