"""`atlas job rollback`: take back what was submitted of a round."""

from collections.abc import Sequence
from typing import Annotated

import typer

from atlas.terminal.json_output import print_json
from atlas_pipelines.cli.job.on_chain import job_on_chain
from atlas_pipelines.cli.output import results_console
from chain_bridge.client.messages import Round
from resources.errors import CoordinatorError


def rollback(
    name: Annotated[str, typer.Argument(help="The job's name.")],
    number: Annotated[
        int | None,
        typer.Argument(metavar="ROUND", min=1, help="The round. [the newest that was submitted]", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Take back the submission of a job's newest round, while it is neither settled nor challenged.

    Its results stay, and so does their reserved pay; run the job again to submit the round anew.
    """
    with job_on_chain(name) as (row, ledger):
        found = submitted_round(name, ledger.rounds(row.job_id), number)
        done = ledger.rollback_round(row.job_id, found.round)
    if json:
        facts = {"job": name, "job_id": row.job_id, "round": found.round, "checkpoint": found.checkpoint}
        print_json({**facts, "evidence": found.evidence, "transaction": done.hash})
        return
    results_console().print(
        f"Round {found.round} of job {name} is no longer submitted. Its checkpoint was {found.checkpoint}; run the "
        "job again to resubmit it."
    )


def submitted_round(name: str, rounds: Sequence[Round], number: int | None) -> Round:
    """The newest of a job's submitted rounds, which `number` names if given; raises why it cannot be taken back."""
    if not rounds:
        raise CoordinatorError(f"No round of job {name!r} is submitted, so there is nothing to take back.")
    newest = max(rounds, key=lambda one: one.round)
    if number is not None and number > newest.round:
        raise CoordinatorError(f"Round {number} of job {name!r} is not submitted; the newest that is: {newest.round}.")
    if number is not None and number < newest.round:
        raise CoordinatorError(
            f"Round {number + 1} of job {name!r} starts from round {number}. Take back the newest round, "
            f"{newest.round}, first."
        )
    if newest.settled_at is not None:
        raise CoordinatorError(
            f"Round {newest.round} of job {name!r} is settled: its nodes are credited, so it can no longer be taken "
            "back. A longer challenge window leaves time for that: atlas chain config --set challenge_seconds=600"
        )
    if newest.open_challenges:
        raise CoordinatorError(
            f"Round {newest.round} of job {name!r} is challenged. It can be taken back once the challenge is decided."
        )
    return newest
