"""The asset `reward_settlement`: the payouts of a round."""

import time

import dagster as dg

from assets import partitions
from assets.aggregated_checkpoint import aggregated_checkpoint
from assets.evaluation import evaluation
from assets.launch.find_job import find_round
from assets.plain_errors import plain_errors
from assets.recorded.inputs import round_inputs
from assets.recorded.records import recorded_cid
from assets.round_checks import COST_WITHIN_PLAN, SETTLED_IN_TIME, cost_result, settled_result
from assets.shown import graph, links, tables
from resources.content import ContentResource
from resources.coordinator import CoordinatorResource
from resources.ledger import LedgerResource
from resources.rounds.checks.cost import cost_so_far
from resources.rounds.settle import Settlement


@dg.asset(
    partitions_def=partitions.rounds,
    deps=[aggregated_checkpoint, evaluation],
    check_specs=[SETTLED_IN_TIME, COST_WITHIN_PLAN],
    group_name="settlement",
    kinds={"cosmos"},
    owners=graph.COORDINATOR,
    tags=graph.CHAIN_WRITTEN,
)
@plain_errors
def reward_settlement(
    context: dg.AssetExecutionContext,
    coordinator: CoordinatorResource,
    content: ContentResource,
    ledger: LedgerResource,
) -> dg.MaterializeResult:
    """The credits of a round's nodes on chain, and the evidence for them; pending while the chain does not answer."""
    round_ = find_round(context.partition_key, coordinator, content, ledger)
    checkpoint = recorded_cid(context, "aggregated_checkpoint")
    settlement = round_.settle(checkpoint)
    round_.publish(checkpoint)
    network = coordinator.addresses.network
    cost = None  # unknown: a chain that does not answer would take its timeout again
    if settlement.state != "pending":
        cost = cost_so_far(round_.job, round_.number, coordinator.registry, ledger.client)
    return dg.MaterializeResult(
        metadata={
            "evidence": settlement.evidence,
            "content": content.link(settlement.evidence),
            "merkle_root": settlement.root,
            "tasks": settlement.leaf_count,
            "scoring": settlement.scoring,
            "paid": sum(settlement.payouts.values()),
            "denomination": network.denom,
            **tables.payout_tables(settlement.per_node),
            "settled": settlement.state,
            **_due_at(settlement),
            "backlog": settlement.backlog,
            "submit_tx": settlement.submit_tx or _absent(settlement),
            "settle_tx": settlement.settle_tx or _absent(settlement),
            **links.transaction_pages(network, submit_tx=settlement.submit_tx, settle_tx=settlement.settle_tx),
            "contract": round_.job.contract,
            "model_version": f"{round_.job.name} {round_.number}",
        },
        data_version=dg.DataVersion(settlement.evidence),
        tags=round_inputs(context, "aggregated_checkpoint", "evaluation"),
        check_results=[settled_result(settlement, time.time()), cost_result(cost)],
    )


def _due_at(settlement: Settlement) -> dict[str, dg.MetadataValue]:
    return {} if settlement.due_at is None else {"due_at": dg.MetadataValue.timestamp(float(settlement.due_at))}


def _absent(settlement: Settlement) -> str:
    """The reason why the settlement has no hash for a transaction."""
    return "sent before" if settlement.settled else settlement.state
