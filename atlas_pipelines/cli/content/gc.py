"""`atlas content gc`: remove content that no job needs any more."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import typer
from rich.filesize import decimal

from atlas.content.kubo.node import KuboNode
from atlas.content.places.collect import Collected, collect, local_folder, peek
from atlas.content.places.open import IpfsPlaces
from atlas.counts import counted
from atlas.home import AtlasHome
from atlas.ids import Cid
from atlas.terminal.json_output import print_json
from atlas.terminal.tables import numbers, print_table, texts
from atlas_pipelines.cli.content.open import Ipfs, open_content
from atlas_pipelines.cli.network import has_network, using_network
from atlas_pipelines.cli.output import results_console
from resources.errors import CoordinatorError
from resources.jobs.registry import JobRegistry
from resources.retention.content_survey import ask_network, survey
from resources.retention.retention import Reason, RetentionSettings, Survey, read_retention
from resources.settings import Addresses

HOUR = 3600.0


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")] = False,
    keep_rounds: Annotated[
        int | None, typer.Option(min=1, help="Newest checkpoints of each job that is over whose files stay.")
    ] = None,
    drop_updates: Annotated[
        bool,
        typer.Option(
            "--drop-updates",
            help="Remove shards and updates of jobs that are over. Their checkpoints can then not be verified here.",
        ),
    ] = False,
    unused_hours: Annotated[
        float | None,
        typer.Option(min=0, help="Content used within this time is not removed. Use 0 only while no job runs."),
    ] = None,
    nodes_too: Annotated[
        bool,
        typer.Option(
            "--nodes-too",
            help="Also make the first IPFS node remove every block that is not pinned there, including blocks of "
            "other programs. Without this option it only unpins the content that is removed here.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking for confirmation.")] = False,
    ipfs: Ipfs = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object; removes only with --yes.")] = False,
) -> None:
    """Remove content that no job needs. $ATLAS_HOME/retention.yaml has the defaults of these options.

    All content of a job stays while the job is open or has a round that is not settled. After that its documents,
    receipts, newest checkpoints, and the content that proves those stay. Content that no job names is removed a day
    after its last use. Every job counts as open while the chain does not answer.
    """
    home = AtlasHome.from_environment()
    settings = _settings(read_retention(home.root / "retention.yaml"), keep_rounds, drop_updates, unused_hours)
    with using_network(home) if has_network(home) else nullcontext() as addresses:
        store, registry, now = open_content(home, ipfs), JobRegistry(home.jobs_database), time.time()
        chain = ask_network(addresses.network if addresses else None, registry)
        found = survey(store, partial(peek, local_folder(store)), registry, chain)
        needed = found.needed(settings)
        sizes = {one.cid: one.size for one in store.held()}
        removable = partial(collect, store, needed, now - settings.unused_hours * HOUR)
        done, blocks = removable(dry_run=True), None
        dry_run = dry_run or not ((done.removed or nodes_too) and _agreed(done, yes, json))
        if not dry_run:
            registry.record_removed(found.users({one.cid for one in done.removed}))
            done = removable()
            blocks = _collect_on_node(ipfs or _nodes(addresses)) if nodes_too else None
    outcome = _Outcome(done, needed, found, sizes, dry_run, blocks)
    if json:
        print_json(outcome.facts())
    else:
        print_table(results_console(), [*texts("content"), *numbers("count", "size")], outcome.lines())
        results_console().print(outcome.sentence())


@dataclass(frozen=True)
class _Outcome:
    """The result of a garbage collection, as text or JSON."""

    done: Collected
    needed: Mapping[Cid, Reason]
    survey: Survey
    sizes: Mapping[Cid, int]
    dry_run: bool
    blocks: int | None

    def reasons(self) -> list[tuple[str, int, int]]:
        """Per reason to keep content: the reason, the number of contents, and their bytes."""
        counts: Counter[str] = Counter()
        totals: Counter[str] = Counter()
        for cid in self.needed.keys() & self.sizes.keys():
            counts[self.needed[cid].because] += 1
            totals[self.needed[cid].because] += self.sizes[cid]
        return [(because, counts[because], totals[because]) for because in sorted(counts)]

    def facts(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            "dry_run": self.dry_run,
            "removed": [
                {"cid": one.cid, "size": one.size, "was": self.survey.uses(one.cid)} for one in self.done.removed
            ],
            "bytes": self.done.bytes,
            "kept": self.done.kept,
            "waiting": self.done.waiting,
            "reasons": [{"because": why, "contents": count, "bytes": size} for why, count, size in self.reasons()],
            "blocks_on_node": self.blocks,
        }

    def lines(self) -> list[tuple[str, str, str]]:
        """The lines for kept and removed content: the reason, the number of contents, and their size."""
        found = [(f"stays: {because}", str(count), decimal(size)) for because, count, size in self.reasons()]
        if self.done.waiting:
            found.append(("stays: not needed, but pinned or recently used", str(self.done.waiting), ""))
        goes = "would be removed" if self.dry_run else "removed"
        named = [one for one in self.done.removed if self.survey.uses(one.cid)]
        unknown = [one for one in self.done.removed if not self.survey.uses(one.cid)]
        for what, going in (("no longer needed by its job", named), ("named by no job", unknown)):
            if going:
                found.append((f"{goes}: {what}", str(len(going)), decimal(sum(one.size for one in going))))
        return found

    def sentence(self) -> str:
        """The freed bytes in one sentence."""
        verb = "would be freed; nothing was removed" if self.dry_run else "are freed"
        node = "" if self.blocks is None else f" The first IPFS node removed {counted(self.blocks, 'block')}."
        return f"{decimal(self.done.bytes)} {verb}.{node}"


def _settings(
    kept: RetentionSettings, keep_rounds: int | None, drop_updates: bool, unused_hours: float | None
) -> RetentionSettings:
    """The settings of the file, with the changes of the command line."""
    given: dict[str, Any] = {"keep_rounds": keep_rounds, "unused_hours": unused_hours}
    changes = {name: value for name, value in given.items() if value is not None}
    return kept.model_copy(update={**changes, **({"keep_updates": False} if drop_updates else {})})


def _agreed(done: Collected, yes: bool, json: bool) -> bool:
    """Whether the user, or an option, confirms the removal."""
    question = f"Remove {counted(len(done.removed), 'content')}, {decimal(done.bytes)}?"
    return yes or (not json and typer.confirm(question, err=True))


def _nodes(addresses: Addresses | None) -> list[str]:
    return addresses.content.nodes if addresses and isinstance(addresses.content, IpfsPlaces) else []


def _collect_on_node(nodes: Sequence[str]) -> int:
    """Collect garbage on our own IPFS node and return the number of removed blocks.

    Raises `CoordinatorError` when content is not on IPFS.
    """
    if not nodes:
        raise CoordinatorError("--nodes-too needs content on IPFS; this network keeps it in a folder. Leave it out.")
    return KuboNode(nodes[0]).collect_garbage()
