"""`atlas content add | get`: from files and folders to CIDs and back."""

import os
import secrets
import shutil
from pathlib import Path
from typing import Annotated

import typer

from atlas.content.format.cid import parse_cid
from atlas.errors import ContentError
from atlas.home import AtlasHome
from atlas.ids import Cid
from atlas.terminal.json_output import print_json
from atlas_pipelines.cli.content.open import Ipfs, Json, Replicas, open_content
from atlas_pipelines.cli.output import results_console
from atlas_pipelines.cli.progress_bar import Advance, progress_bar

CHUNK_BYTES = 1 << 20


def add(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.", metavar="PATH...")],
    pinned: Annotated[
        bool, typer.Option("--pin/--no-pin", help="Pin it, so that `gc` keeps it although no job names it.")
    ] = True,
    ipfs: Ipfs = None,
    replicas: Replicas = 1,
    json: Json = False,
) -> None:
    """Store files and folders and print their CIDs, the same that `ipfs add` prints."""
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise ContentError(f"No file or folder exists at {', '.join(missing)}. Give paths of files or folders.")
    store = open_content(AtlasHome.from_environment(), ipfs, replicas)
    added = []
    with progress_bar("adding", sum(map(_size, paths))) as advance:
        for path in paths:
            cid = store.put(path)
            if pinned:
                store.pin(cid)
            added.append({"cid": cid, "path": str(path)})
            advance(_size(path))
    if json:
        print_json(added)
        return
    for one in added:
        results_console().print(f"added {one['cid']} {one['path']}")


def get(
    cid: Annotated[str, typer.Argument(help="CID of a content.", metavar="CID")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The new file or folder.", show_default="./CID")
    ] = None,
    ipfs: Ipfs = None,
    json: Json = False,
) -> None:
    """Write a content, checked against its CID, to a new file or folder."""
    target = (output or Path(parse_cid(cid))).absolute()
    _refuse_existing(target)
    source = open_content(AtlasHome.from_environment(), ipfs).fetch(Cid(cid))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        with progress_bar(f"writing {target.name}", _size(source)) as advance:
            _copy(source, temporary, advance)
        _refuse_existing(target)
        temporary.rename(target)
    except OSError as error:
        raise ContentError(f"Cannot write {target}: {error.strerror or error}. Nothing was written.") from error
    finally:
        _remove(temporary)
    if json:
        print_json({"cid": cid, "path": str(target)})
    else:
        results_console().print(f"Wrote {target}")


def _refuse_existing(target: Path) -> None:
    if os.path.lexists(target):
        raise ContentError(f"{target} already exists. Give another path with -o, or remove it first.")


def _copy(source: Path, target: Path, advance: Advance) -> None:
    """Copy a file or folder, durably, with the permissions of new files."""
    if source.is_dir():
        target.mkdir()
        for entry in sorted(source.iterdir()):
            _copy(entry, target / entry.name, advance)
        return
    with source.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(CHUNK_BYTES):
            writer.write(chunk)
            advance(len(chunk))
        writer.flush()
        os.fsync(writer.fileno())


def _remove(temporary: Path) -> None:
    if temporary.is_dir():
        shutil.rmtree(temporary)
    else:
        temporary.unlink(missing_ok=True)


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())
