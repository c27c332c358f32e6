"""`atlas verify`: recompute a checkpoint and all of its ancestors from their manifests."""

from dataclasses import asdict
from typing import Annotated

import typer

from atlas.content.cid import parse_cid
from atlas.home import AtlasHome
from atlas.verification.checkpoint import VerifiedCheckpoint, verify_checkpoint
from atlas_pipelines.cli.content import open_content
from atlas_pipelines.cli.output import print_json, results_console


def verify(
    checkpoint: Annotated[str, typer.Argument(help="CID of a checkpoint.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Recompute a checkpoint, round by round, down to the untrained adapter. Fails at the first difference."""
    console = results_console()

    def show(found: VerifiedCheckpoint) -> None:
        if not json:
            console.print(f"round {found.round}: {found.cid} follows from {found.updates} updates", soft_wrap=True)

    verified = verify_checkpoint(parse_cid(checkpoint), open_content(AtlasHome.from_environment()), show)
    if json:
        print_json({"verified": True, "checkpoints": [asdict(one) for one in verified]})
