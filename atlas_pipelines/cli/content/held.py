"""`atlas content ls | pin | unpin`: the copies on this machine, and their pins."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer
from rich.filesize import decimal

from atlas.content.format.cid import parse_cid
from atlas.content.places.collect import PeekStore, local_folder, peek
from atlas.content.store import PINNED, KeptStore
from atlas.errors import ContentError
from atlas.home import AtlasHome
from atlas.ids import Cid
from atlas.terminal.console import WordConsole
from atlas.terminal.json_output import print_json
from atlas.terminal.tables import numbers, print_table, texts
from atlas_pipelines.cli.content.open import Ipfs, Json, open_content
from atlas_pipelines.cli.output import results_console
from resources.jobs.registry import JobRegistry
from resources.retention.content_survey import survey

Set = Annotated[str, typer.Option("--set", help="Name of the pin set, such as a release.")]
Cids = Annotated[list[str], typer.Argument(help="CIDs of contents.", metavar="CID...")]


def ls(
    only: Annotated[str | None, typer.Option("--set", help="Only what is in this pin set.", show_default=False)] = None,
    ipfs: Ipfs = None,
    json: Json = False,
) -> None:
    """List the copies on this machine, most recently used first, with the use that jobs make of each."""
    home = AtlasHome.from_environment()
    store = open_content(home, ipfs)
    listed = [one for one in store.held() if only is None or only in one.pins]
    held = sorted(listed, key=lambda one: (-one.used_at, one.cid))
    uses = _uses(store, home)
    if json:
        print_json([{**asdict(one), "is": uses(one.cid)} for one in held])
        return
    if not held:
        nothing = "There is no content here yet." if only is None else f"The pin set {only} is empty."
        results_console().print(nothing)
        return
    columns = [*texts("content"), *numbers("size"), *texts("last used", "pin sets", "is")]
    cells = [[one.cid, decimal(one.size), _minute(one.used_at), ", ".join(one.pins), uses(one.cid)] for one in held]
    print_table(results_console(), columns, cells)


def pin(cids: Cids, into: Set = PINNED, ipfs: Ipfs = None, json: Json = False) -> None:
    """Pin contents, so that `gc` never removes them; contents without a copy here are fetched first."""
    store = open_content(AtlasHome.from_environment(), ipfs)
    for cid in [parse_cid(cid) for cid in cids]:
        store.pin(cid, into)
    _print_result("pinned", cids, json)


def unpin(
    cids: Cids,
    out_of: Annotated[
        str | None, typer.Option("--set", help="Only out of this pin set.", show_default="all of them")
    ] = None,
    ipfs: Ipfs = None,
    json: Json = False,
) -> None:
    """Unpin contents, so that `gc` may remove them when no job needs them."""
    store = open_content(AtlasHome.from_environment(), ipfs)
    for cid in [parse_cid(cid) for cid in cids]:
        store.unpin(cid, out_of)
    _print_result("unpinned", cids, json)


def _uses(store: KeptStore, home: AtlasHome) -> Callable[[Cid], str]:
    """A function from a CID to its use by a job, found from the local documents alone; the chain is not queried."""
    folder = local_folder(store)
    try:
        return survey(PeekStore(folder), partial(peek, folder), JobRegistry(home.jobs_database), None).uses
    except ContentError as error:
        notes = WordConsole(stderr=True)
        notes.print(f"The use of content by jobs is not shown: {error}")
        return lambda cid: ""


def _print_result(done: str, cids: list[str], json: bool) -> None:
    if json:
        print_json({done: cids})
        return
    for cid in cids:
        results_console().print(f"{done} {cid}")


def _minute(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
