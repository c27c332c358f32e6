"""`atlas job round`: the accepted updates of a round with their influence, and the refused ones."""

from typing import Annotated

import typer
from rich.console import Console

from atlas.home import AtlasHome
from atlas.terminal.json_output import print_json
from atlas.terminal.tables import numbers, print_table, texts
from atlas_pipelines.cli.content.open import open_content
from atlas_pipelines.cli.output import results_console
from atlas_pipelines.round_account import RoundAccount, account_for_round
from resources.jobs.registry import JobRegistry


def show_round(
    name: Annotated[str, typer.Argument(help="The job's name.")],
    number: Annotated[int, typer.Argument(min=1, help="The round, from 1.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show a round's updates, accepted and refused, with their influence; all of it is computed from the content.

    An update's influence is its share of the round's change, its cosine how well it agrees with that change. The naive
    residual is what averaging the factors A and B separately would lose of the mean of B·A.
    """
    home = AtlasHome.from_environment()
    account = account_for_round(name, number, JobRegistry(home.jobs_database), open_content(home))
    if json:
        print_json({**account.model_dump(mode="json"), "diagnostics_cid": account.diagnostics.cid})
    else:
        _print(account, results_console())


def _print(account: RoundAccount, console: Console) -> None:
    _print_accepted(account, console)
    for one in account.refused:
        node = "" if one.node is None else f", node {one.node}"
        console.print(
            f"{one.shard}, attempt {one.attempt}{node}: refused by {one.gate}: {one.reason}",
        )
    found = account.diagnostics
    console.print(
        f"naive residual {found.residual:.3g}, effective rank {found.effective_rank:.3g}, change {found.norm:.4g}"
    )
    if found.cosines is not None:
        low, middle, high = found.cosines.minimum, found.cosines.median, found.cosines.maximum
        console.print(f"cosines between updates from {low:.3f} to {high:.3f}, median {middle:.3f}")
    console.print(f"manifest {account.manifest}")
    console.print(f"checkpoint {account.checkpoint}")


def _print_accepted(account: RoundAccount, console: Console) -> None:
    cells = [
        [
            one.shard,
            "" if one.node is None else str(one.node),
            "" if one.attempt is None else str(one.attempt),
            str(one.weight),
            "" if one.coefficient is None else f"{one.coefficient:.4f}",
            "" if one.share is None else f"{one.share:.1%}",
            f"{one.norm:.4g}",
            f"{one.cosine:.3f}",
        ]
        for one in account.accepted
    ]
    columns = [*texts("shard"), *numbers("node", "attempt", "rows", "coefficient", "influence", "norm", "cosine")]
    print_table(
        console, columns, cells, f"job {account.job}, round {account.round}: {account.strategy}, {account.rule}"
    )
