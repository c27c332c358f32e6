"""`atlas verify`: recompute a checkpoint and all of its ancestors from their manifests."""

from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer

from atlas.content.cid import parse_cid
from atlas.home import AtlasHome
from atlas.spec import JobSpec
from atlas.verification.checkpoint import VerifiedCheckpoint, verify_checkpoint
from atlas_pipelines.cli.content import open_content
from atlas_pipelines.cli.output import print_json, results_console
from resources.own_work import rebuilt_untrained_adapter
from resources.sealed_rows import count_sealed_rows


def verify(
    checkpoint: Annotated[str, typer.Argument(help="CID of a checkpoint.")],
    rebuild_start: Annotated[
        bool, typer.Option("--rebuild-start", help="Also make the untrained adapter anew from the seed; needs torch.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Recompute a checkpoint, round by round, down to the untrained adapter. Fails at the first difference."""
    console = results_console()

    def show(found: VerifiedCheckpoint) -> None:
        if not json:
            console.print(f"round {found.round}: {found.cid} {_proof(found, rebuild_start)}", soft_wrap=True)

    home = AtlasHome.from_environment()
    rebuild = partial(rebuilt_untrained_adapter, cache=home.root / "cache") if rebuild_start else None
    store = open_content(home)

    def count_sealed(data: str, spec: JobSpec) -> int | None:
        return count_sealed_rows(data, spec.dataset, home, store)

    verified = verify_checkpoint(parse_cid(checkpoint), store, show, rebuild, count_sealed)
    if json:
        print_json({"verified": True, "checkpoints": [asdict(one) for one in verified]})


def _proof(found: VerifiedCheckpoint, rebuilt: bool) -> str:
    if found.round:
        text = f"follows from {found.updates} updates"
        return text if found.weights_checked else text + "; their weights are not checked, since the rows are sealed"
    return "follows from the seed" if rebuilt else "is the untrained adapter"
