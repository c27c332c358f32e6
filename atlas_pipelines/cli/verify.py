"""`atlas verify`: recompute a checkpoint and all of its ancestors from their manifests."""

from dataclasses import asdict
from typing import Annotated

import typer

from atlas.content.format.cid import parse_cid
from atlas.counts import counted
from atlas.errors import AggregationError, ContentError, SpecError, VerificationError
from atlas.home import AtlasHome
from atlas.terminal.json_output import print_json
from atlas.verification.checkpoint import VerifiedCheckpoint
from atlas_pipelines.cli.content.open import known_network, open_content
from atlas_pipelines.cli.output import results_console
from resources.verification.verify import failed_check, verify_with_records


def verify(
    checkpoint: Annotated[str, typer.Argument(help="CID of a checkpoint.")],
    rebuild_start: Annotated[
        bool, typer.Option("--rebuild-start", help="Also recompute the untrained adapter from the seed; needs torch.")
    ] = False,
    dataset: Annotated[
        str | None,
        typer.Option(help="CID of the job's dataset, if neither this machine nor a chain has the job on record."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Recompute a checkpoint, round by round, down to the untrained adapter. Fails at the first difference.

    The updates are compared with the job's dataset and their signed receipts, and the rounds with the chain, where
    these are on record here.
    """
    console = results_console()
    shown: list[VerifiedCheckpoint] = []

    def show(found: VerifiedCheckpoint) -> None:
        shown.append(found)
        if not json:
            console.print(f"round {found.round}: {found.cid} {_proof(found, rebuild_start)}")

    home = AtlasHome.from_environment()
    store, addresses = open_content(home), known_network(home)
    cids = parse_cid(checkpoint), parse_cid(dataset) if dataset else None
    network = addresses.network if addresses else None
    try:
        found = verify_with_records(cids[0], store, home, network, cids[1], rebuild_start, show)
    except (VerificationError, ContentError, SpecError, AggregationError) as error:
        failed = asdict(failed_check(error))
        error.facts = {"verified": False, "checks": [failed], "checkpoints": [asdict(one) for one in shown]}
        raise
    if json:
        parts = {name: [asdict(one) for one in getattr(found, name)] for name in ("checks", "checkpoints")}
        print_json({"verified": True, **parts})
        return
    for check in found.checks:
        console.print(f"{check.check}: {check.result}. {check.text}")
    missing = ", ".join(found.unchecked)
    console.print(f"Verified, except for the checks that were not made: {missing}." if missing else "Verified.")


def _proof(found: VerifiedCheckpoint, rebuilt: bool) -> str:
    if found.round:
        text = f"follows from {counted(found.updates, 'update')}"
        return text if found.weights_checked else text + "; their weights are not checked, because the rows are sealed"
    return "follows from the seed" if rebuilt else "is the untrained adapter"
