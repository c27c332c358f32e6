"""`atlas content verify | replicas`: whether the copies are whole, and whether there are enough of them."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from atlas.content.format.cid import cid_of_path, parse_cid
from atlas.content.local.store import LocalStore
from atlas.content.places.collect import PeekStore
from atlas.content.store import KeptStore
from atlas.content.store import Replicas as Copies
from atlas.counts import counted
from atlas.errors import ContentError
from atlas.home import AtlasHome
from atlas.ids import Cid
from atlas.terminal.console import WordConsole
from atlas.terminal.json_output import print_json
from atlas.terminal.tables import Column, numbers, print_table, texts
from atlas_pipelines.cli.content.open import Ipfs, Json, Replicas, known_network, open_content, open_own_copies
from atlas_pipelines.cli.output import results_console
from atlas_pipelines.cli.progress_bar import progress_bar
from chain_bridge.errors import ChainError
from resources.jobs.registry import JobRegistry
from resources.retention.content_survey import ask_network
from resources.retention.missing_content import Completeness, find_missing
from resources.retention.retention import read_retention

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
    """Recompute the CIDs of the copies on this machine, all of them or those given; fails if any is corrupt or missing.

    Without CIDs, content that a job needs and that has no copy here is missing, unless `atlas content gc` removed it.
    What only the chain names is checked while a network runs.
    """
    home = AtlasHome.from_environment()
    store = open_own_copies(home)
    wanted = _wanted(cids, store)
    lacking = Completeness({}, ()) if cids else _lacking(home, store.root)
    bad = {cid: f"{cid} is missing in {store.root}: {reason}." for cid, reason in lacking.missing.items()}
    with progress_bar("verifying", len(wanted)) as advance:
        for cid in wanted:
            reason = _fault(store, cid)
            if reason is not None:
                bad[cid] = reason
            advance(1)
    count = len(wanted) + len(lacking.missing)
    facts = {"verified": count - len(bad), "bad": bad, "not_checked": list(lacking.unchecked)}
    if not json:
        console = results_console()
        for reason in bad.values():
            console.print(reason)
        for what in lacking.unchecked:
            console.print(f"Not checked: {what}.")
        console.print(f"Whole: {count - len(bad)} of {counted(count, 'content')}.")
    elif not bad:
        print_json(facts)
    if bad:
        raise NotWhole(len(bad), count, facts)


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


def _wanted(cids: list[str] | None, store: KeptStore) -> list[Cid]:
    """The given CIDs, or those of all local copies."""
    return [parse_cid(cid) for cid in cids] if cids else [one.cid for one in store.held()]


def _lacking(home: AtlasHome, folder: Path) -> Completeness:
    """The content that jobs need and that is not in the folder. A running network is asked; none is started."""
    registry, known = JobRegistry(home.jobs_database), known_network(home)
    if not registry.jobs():
        return Completeness({}, ())
    try:
        chain = ask_network(known.network if known else None, registry)
        silence = "the chain does not answer" if known else "no network runs"
    except ChainError as error:
        chain, silence = None, str(error).rstrip(".")
    found = find_missing(PeekStore(folder), registry, chain, read_retention(home.root / "retention.yaml"))
    if chain is not None:
        return found
    on_chain = f"evidence and promoted models, which only the chain names: {silence}"
    return replace(found, unchecked=(*found.unchecked, on_chain))


def _fault(store: LocalStore, cid: Cid) -> str | None:
    """The fault of a copy, or None. This check does not count as a use of the copy."""
    path = store.root / cid[-2:] / cid
    try:
        found = cid_of_path(path)
    except FileNotFoundError:
        return f"{cid} is not in {store.root}."
    except (OSError, ContentError) as error:
        return f"{path} cannot be read as {cid}: {error}"
    return None if found == cid else f"{path} is corrupt: expected {cid}, found {found}."


def _copies(store: KeptStore, cid: Cid, repair: bool, notes: Console) -> Copies:
    found = store.replicas(cid)
    if found.enough or not repair:
        return found
    try:
        return store.replicate(cid)
    except ContentError as error:
        notes.print(f"Could not make another copy of {cid}: {error}")
        return found
