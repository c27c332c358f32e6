"""`atlas content verify | replicas`: whether the copies are whole, and whether there are enough of them."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console

from atlas.content.format.cid import cid_of_path, parse_cid
from atlas.content.local.store import LocalStore
from atlas.content.store import KeptStore
from atlas.content.store import Replicas as Copies
from atlas.counts import counted
from atlas.errors import ContentError
from atlas.home import AtlasHome
from atlas.terminal.console import WordConsole
from atlas.terminal.tables import Column, numbers, print_table, texts
from atlas_pipelines.cli.content.open import Ipfs, Json, Replicas, open_content, open_own_copies
from atlas_pipelines.cli.output import print_json, results_console
from atlas_pipelines.cli.progress_bar import progress_bar

Cids = Annotated[
    list[str] | None, typer.Argument(help="CIDs of contents.", metavar="[CID...]", show_default="all that are here")
]


class NotWhole(ContentError):
    """Copies on this machine are corrupt or missing."""

    def __init__(self, bad: int, wanted: int, facts: dict[str, Any]) -> None:
        super().__init__(
            f"Corrupt or missing: {bad} of {counted(wanted, 'content')}. `atlas content add FILE` puts an original "
            "again and replaces a corrupt copy; `atlas content get CID --ipfs RPC_ADDRESS` fetches one from an IPFS "
            "node."
        )
        self.facts = facts


def verify(cids: Cids = None, json: Json = False) -> None:
    """Recompute the CIDs of the copies on this machine, all of them or those given; fails if any is corrupt.

    A given CID without a copy here is missing, and fails too. Without CIDs only copies that exist are read;
    `atlas verify` finds what a checkpoint lacks.
    """
    store = open_own_copies(AtlasHome.from_environment())
    wanted = _wanted(cids, store)
    bad: dict[str, str] = {}
    with progress_bar("verifying", len(wanted)) as advance:
        for cid in wanted:
            reason = _fault(store, cid)
            if reason is not None:
                bad[cid] = reason
            advance(1)
    facts = {"verified": len(wanted) - len(bad), "bad": bad}
    if not json:
        console = results_console()
        for reason in bad.values():
            console.print(reason)
        console.print(f"Whole: {len(wanted) - len(bad)} of {counted(len(wanted), 'content')}.")
    elif not bad:
        print_json(facts)
    if bad:
        raise NotWhole(len(bad), len(wanted), facts)


def replicas(
    cids: Cids = None,
    repair: Annotated[bool, typer.Option("--repair", help="Copy content with too few copies to more nodes.")] = False,
    ipfs: Ipfs = None,
    copies: Replicas = 1,
    json: Json = False,
) -> None:
    """Show which places hold a whole copy of each content; fails if any content has fewer copies than wanted."""
    store = open_content(AtlasHome.from_environment(), ipfs, copies)
    wanted = _wanted(cids, store)
    found, notes = [], WordConsole(stderr=True)
    with progress_bar("asking", len(wanted)) as advance:
        for cid in wanted:
            found.append(_copies(store, cid, repair, notes))
            advance(1)
    short = [one for one in found if not one.enough]
    if json:
        print_json([{**asdict(one), "enough": one.enough} for one in found])
    else:
        console = results_console()
        columns = [*texts("content"), *numbers("copies"), Column("where", prose=True), Column("no answer", prose=True)]
        cells = [
            [one.cid, f"{len(one.holders)} of {one.wanted}", ", ".join(one.holders), ", ".join(one.silent)]
            for one in found
        ]
        print_table(console, columns, cells)
        console.print(f"With enough copies: {len(found) - len(short)} of {counted(len(found), 'content')}.")
    if short and json:
        raise typer.Exit(1)
    if short:
        given = "".join(f" --ipfs {url}" for url in ipfs or ()) + (f" --replicas {copies}" if copies > 1 else "")
        raise ContentError(
            f"With fewer copies than wanted: {len(short)} of {counted(len(found), 'content')}. "
            f"`atlas content replicas --repair{given}` copies them to more nodes."
        )


def _wanted(cids: list[str] | None, store: KeptStore) -> list[str]:
    """The given CIDs, or those of all local copies."""
    return [parse_cid(cid) for cid in cids] if cids else [one.cid for one in store.held()]


def _fault(store: LocalStore, cid: str) -> str | None:
    """The fault of a copy, or None. This check does not count as a use of the copy."""
    path = store.root / cid[-2:] / cid
    try:
        found = cid_of_path(path)
    except FileNotFoundError:
        return f"{cid} is not in {store.root}."
    except (OSError, ContentError) as error:
        return f"{path} cannot be read as {cid}: {error}"
    return None if found == cid else f"{path} is corrupt: expected {cid}, found {found}."


def _copies(store: KeptStore, cid: str, repair: bool, notes: Console) -> Copies:
    found = store.replicas(cid)
    if found.enough or not repair:
        return found
    try:
        return store.replicate(cid)
    except ContentError as error:
        notes.print(f"Could not make another copy of {cid}: {error}")
        return found
