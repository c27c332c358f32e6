"""`atlas job cancel | top-up | close`: a job's state and escrow on the chain."""

import secrets
from typing import Annotated

import typer

from atlas.terminal.json_output import print_json
from atlas_pipelines.cli.job.on_chain import job_on_chain
from atlas_pipelines.cli.output import results_console
from chain_bridge.client.messages import Tx
from chain_bridge.errors import OutcomeUnknown
from chain_bridge.ledger import Ledger
from resources.errors import CoordinatorError
from resources.jobs.dead_leases import end_dead_leases
from resources.jobs.registry import JobRow

Name = Annotated[str, typer.Argument(help="The job's name.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def cancel(name: Name, json: Json = False) -> None:
    """Cancel a job: no new task is assigned, running tasks may end and be paid, the free escrow is refunded."""
    with job_on_chain(name) as (row, ledger):
        _show(row, ledger, ledger.cancel_job(row.job_id), json)


def top_up(
    name: Name,
    amount: Annotated[int, typer.Argument(min=1, help="In micro-units of the network's coin.")],
    key: Annotated[
        str | None,
        typer.Option(
            help="Give the same key again to repeat a top-up whose outcome is not known; it is paid only once."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Add to an open job's escrow from the operator's account."""
    chosen = key or secrets.token_hex(8)
    with job_on_chain(name) as (row, ledger):
        try:
            tx = ledger.top_up(row.job_id, chosen, amount)
        except OutcomeUnknown as error:
            raise CoordinatorError(
                f"{error} To repeat it safely, run: atlas job top-up {name} {amount} --key {chosen}"
            ) from error
        _show(row, ledger, tx, json)


def close(name: Name, json: Json = False) -> None:
    """Close a job with no payment outstanding; the free rest of its escrow is refunded.

    Leases of nodes that are gone are ended first.
    """
    with job_on_chain(name) as (row, ledger):
        end_dead_leases(ledger, row.job_id)
        _show(row, ledger, ledger.close_job(row.job_id), json)


def _show(row: JobRow, ledger: Ledger, tx: Tx, json: bool) -> None:
    job, credit, denom = ledger.job(row.job_id), ledger.credit(ledger.address), ledger.network.denom
    if json:
        facts = job.model_dump(mode="json", include={"state", "deposited", "reserved", "paid", "refunded"})
        print_json({"job": row.name, "job_id": row.job_id, "transaction": tx.hash, **facts, "credit": credit})
        return
    results_console().print(
        f"Job {row.name} ({row.job_id}) is {job.state}: of {job.deposited} {denom} {job.paid} are paid, "
        f"{job.reserved} reserved, {job.refunded} refunded, {job.free} free. "
        f"The operator's credit is {credit} {denom}.",
    )
