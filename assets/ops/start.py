"""Start a job: open its order. The sensor `started_jobs` then requests the rounds.

The op opens the order of its config; the asset `started_job` opens the order that it was made with.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets import partitions
from assets.fleet_run.progress import RoundProgress
from assets.fleet_run.run_process import PROCESS_TAG, process_tag
from assets.launch.config_schema import Hints, model_config
from assets.launch.job_config import job_config, order_as_config, order_from_config
from assets.open_order import job_facts, open_order
from assets.plain_errors import plain_errors
from assets.recorded.run_tags import JOB_TAG
from atlas.content.verified import VerifiedStore
from atlas.spec.job import JobSpec
from resources.content import ContentResource
from resources.coordinator import CoordinatorResource
from resources.jobs.automation import JobAutomation, RetrainingRules
from resources.jobs.opened import OpenJob
from resources.jobs.schedules import JobSchedule
from resources.ledger import LedgerResource

RUN_ROUNDS_TAG = "atlas/run-rounds"
"""`true` on a run that opened a job whose rounds are to be launched."""


def start_op(name: str, example: JobSpec | None) -> dg.OpDefinition:
    """The op that opens the order of its config; `example` is the order that the launchpad begins with."""
    default: dict[str, Any] = {} if example is None else {"default_value": order_as_config(example)}
    fields = {
        "order": dg.Field(job_config(), description="The job to open, with all its settings.", **default),
        "run_rounds": dg.Field(
            bool,
            default_value=True,
            description="Launch the job's rounds, one after the other. If false, launch each round yourself.",
        ),
        "schedule": dg.Field(
            dg.Noneable(model_config(JobSchedule, Hints())),
            default_value=None,
            description="The times at which the job is ordered again; null for none. A job that is open keeps the "
            "schedule that it has; `atlas job schedule` changes it.",
        ),
        "automation": dg.Field(
            dg.Noneable(model_config(JobAutomation, Hints())),
            default_value=None,
            description="The events on which the job is ordered again, of which one must be set; null for none. As "
            "with the schedule, a job that is open keeps what it has.",
        ),
    }

    @dg.op(
        name=name,
        out=dg.Out(dg.Nothing),
        config_schema=fields,
        description="Open the order: read its data, put the job on chain with its budget, add its partitions.",
        tags={"dagster/compute_kind": "python"},
    )
    @plain_errors
    def start(
        context: dg.OpExecutionContext,
        coordinator: CoordinatorResource,
        content: ContentResource,
        ledger: LedgerResource,
        progress: dg.ResourceParam[RoundProgress],
    ) -> Iterator[dg.AssetMaterialization | dg.Output]:
        order, run_rounds = order_from_config(context.op_config["order"]), bool(context.op_config["run_rounds"])
        rules = RetrainingRules.from_values(context.op_config["schedule"], context.op_config["automation"])
        job, events = start_order(context, order, run_rounds, coordinator, content, ledger, progress, rules)
        yield from events
        yield dg.Output(None, metadata=started_facts(job, run_rounds))

    return start


def start_order(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    order: JobSpec,
    run_rounds: bool,
    coordinator: CoordinatorResource,
    content: ContentResource,
    ledger: LedgerResource,
    progress: RoundProgress,
    rules: RetrainingRules | None = None,
) -> tuple[OpenJob, list[dg.AssetMaterialization]]:
    """Lock the job for this run, tag the run for the sensor `started_jobs`, and open the order.

    Returns what `open_order` returns and raises what it raises; `JobAtWork` while another run holds the job.
    """
    run_id = context.run.run_id
    coordinator.hold_job(order.name, run_id)
    tags = {JOB_TAG: order.name, RUN_ROUNDS_TAG: str(run_rounds).lower(), PROCESS_TAG: process_tag(run_id)}
    context.instance.add_run_tags(run_id, tags)
    store = VerifiedStore(content.store)
    return open_order(context, order, order.rounds, store, coordinator, content, ledger, progress, rules)


def started_facts(job: OpenJob, run_rounds: bool) -> dict[str, Any]:
    """The metadata of a started job: what happens next, and the facts of the job."""
    return {"next": next_step(job.name, job.spec.rounds, run_rounds), **job_facts(job)}


def next_step(job: str, rounds: int, run_rounds: bool) -> str:
    """What happens after a job was opened, or what to do."""
    first, last = partitions.round_key(job, 1), partitions.round_key(job, rounds)
    keys = first if rounds == 1 else f"{first} to {last}, one after the other"
    if run_rounds:
        return (
            f"The sensor started_jobs launches federated_round for {keys}. It needs Dagster's daemon, which `atlas up` "
            "and `dagster dev` run."
        )
    return f"Launch federated_round for {keys}, with the button Materialize all on its page."
