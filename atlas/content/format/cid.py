"""Content identifiers: the CIDv1 that Kubo's `ipfs add` computes with the profile `unixfs-v1-2025`."""

import base64
import binascii
from collections.abc import Iterable
from pathlib import Path

from atlas.content.format.dag_pb import DAG_PB_PREFIX, RAW_PREFIX, Chunk, PbNode
from atlas.content.format.unixfs import chunks_of_file, cut_bytes, nodes_of_chunks, nodes_of_path
from atlas.errors import ContentError
from atlas.ids import Cid


def cid_of_bytes(data: bytes) -> Cid:
    """The CID of bytes held in memory."""
    return cid_of_chunks(cut_bytes(data))


def cid_of_file(path: Path) -> Cid:
    """The CID of a file, read once in constant memory; raises `OSError` when it cannot be read."""
    return cid_of_chunks(chunks_of_file(path))


def cid_of_folder(path: Path) -> Cid:
    """The CID of a folder with everything in it, including hidden files.

    Raises `ContentError` for entries that a UnixFS folder cannot hold (links, devices, names that are not UTF-8),
    `OSError` when the folder cannot be read.
    """
    if not path.is_dir():
        raise ContentError(f"{path} is not a folder. Give a folder, or compute the CID of the file itself.")
    return cid_of_path(path)


def cid_of_path(path: Path) -> Cid:
    """The CID of a file or folder, read once in constant memory; raises as `cid_of_folder` does."""
    return _root(node for _, node in nodes_of_path(path))


def cids_of_path(path: Path) -> dict[Path, Cid]:
    """The CID of a file, or of a folder and of everything in it; raises as `cid_of_folder` does."""
    roots = {place: node.cid for place, node in nodes_of_path(path)}
    return {place: cid_text(cid) for place, cid in roots.items()}


def cid_of_chunks(chunks: Iterable[Chunk]) -> Cid:
    """The CID of a file given as its chunks, all of 1 MiB but the last; holds at most 1024 links of each level."""
    return _root(nodes_of_chunks(chunks))


def parse_cid(text: str) -> Cid:
    """Return `text` if it is a CID that this store can hold; otherwise raise `ContentError` with the reason."""
    cid_bytes(text)
    return Cid(text)


def cid_bytes(text: str) -> bytes:
    """The 36 bytes of a CID; raises as `parse_cid` does."""
    try:
        raw = base64.b32decode(text[1:].upper() + "=" * (-len(text[1:]) % 8))
        well_formed = is_cid(raw) and cid_text(raw) == text
    except (binascii.Error, ValueError):
        well_formed = False
    if not well_formed:
        raise ContentError(
            f"{text!r} is not a content identifier. Expected a CIDv1 in base32 (59 characters, bafkrei… or bafybei…), "
            "as `ipfs add --cid-version=1` prints it."
        )
    return raw


def cid_text(cid: bytes) -> Cid:
    """Multibase base32: lower case, no padding."""
    return Cid("b" + base64.b32encode(cid).decode().rstrip("=").lower())


def is_cid(raw: bytes) -> bool:
    """Whether these are the bytes of a CID that this store can hold."""
    return len(raw) == 36 and raw[:4] in (RAW_PREFIX, DAG_PB_PREFIX)


def is_leaf(cid: Cid) -> bool:
    """Whether a CID names raw bytes, not a node with links; raises as `parse_cid` does."""
    return cid_bytes(cid)[:4] == RAW_PREFIX


def _root(nodes: Iterable[PbNode]) -> Cid:
    cid = b""
    for node in nodes:
        cid = node.cid
    return cid_text(cid)
