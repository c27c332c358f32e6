"""The plan of an order, as metadata of one op: what a job would do, take and cost. Nothing is written on chain."""

import dagster as dg

from assets.fleet_run.progress import RoundProgress
from assets.launch.launch_config import LaunchConfig
from assets.plain_errors import plain_errors
from assets.shown.markdown import markdown_table
from atlas.content.places.open import open_kept_store
from atlas.errors import SpecError
from resources.coordinator import CoordinatorResource
from resources.planning.make_plan import make_plan
from resources.planning.plan import JobPlan
from resources.planning.tables import plan_tables


@dg.op(out=dg.Out(dg.Nothing), tags={"dagster/compute_kind": "python"})
@plain_errors
def plan_order(
    context: dg.OpExecutionContext,
    config: LaunchConfig,
    coordinator: CoordinatorResource,
    progress: dg.ResourceParam[RoundProgress],
) -> dg.Output:
    """Read the data, look at model and rows, and compare the order with the nodes and the budget."""
    if config.repeat is not None:
        raise SpecError(
            f"repeat is {config.repeat!r}, but a plan is made from a job's file. Leave repeat empty and give spec."
        )
    order, home, network = config.order(None), coordinator.home, coordinator.known_addresses
    store = open_kept_store(network.content if network else home.content, home.content)
    found = make_plan(order, home, network, store, progress.note, progress.passing)
    metadata = plan_metadata(found, private=order.dataset.keyring is not None)
    if found.refusal is not None:
        raise dg.Failure(found.refusal, metadata=metadata, allow_retries=False)
    return dg.Output(None, metadata=metadata)


def plan_metadata(plan: JobPlan, private: bool) -> dict[str, dg.MetadataValue]:
    """The tables of a plan; if `private`, without the rows, which are sealed for everybody else."""
    shown = plan.model_copy(update={"preview": []}) if private else plan
    tables = {table.title: markdown_table(table) for table in plan_tables(shown)}
    warnings = {"warnings": "\n".join(f"- {warning}" for warning in plan.warnings)} if plan.warnings else {}
    return {name: dg.MetadataValue.md(text) for name, text in {**tables, **warnings}.items()}
