"""Compose the plan of an order from what was found about its data, its model and the nodes. Pure."""

from collections.abc import Mapping

from atlas.documents.manifests import ShardManifest
from atlas.spec.job import JobSpec
from atlas.training.preview.documents import Preview
from chain_bridge.client.messages import Node
from resources.dispatch.round_on_chain import AvailableNodes
from resources.jobs.order_checks import cost_of_round
from resources.placement.filters import CONTRACT, Needs, is_affordable, obstacle
from resources.planning.data import CutData
from resources.planning.expected_time import expected_seconds
from resources.planning.fleet import Fleet, candidate_of, hardware_of
from resources.planning.plan import (
    JobPlan,
    PlannedCost,
    PlannedData,
    PlannedModel,
    PlannedNode,
    PlannedRows,
    PlannedSteps,
)

SEALED = (
    "The rows of this plan are not sealed. Sealed rows have other CIDs, which decide the order of training, so the "
    "tokens of a task may differ a little."
)
NODE_LOCAL = "The nodes have the rows, so the tokens of shards are unknown. The cost is that of the fewest nodes."


def plan_of(
    order: JobSpec,
    data: CutData,
    preview: Preview,
    fleet: Fleet | None,
    speeds: Mapping[int, float],
    revoked: list[str],
    now: float,
) -> JobPlan:
    """The plan from what was found; pure. `speeds` are tokens per second by node id, `now` seconds since the epoch."""
    training, rounds = order.training, order.rounds
    memory = next(one.total for one in preview.memory if (one.task, one.device) == ("train", "cpu"))
    nodes = None if fleet is None else _nodes(order, fleet, speeds, revoked, memory, now)
    fitting = [] if fleet is None or nodes is None else _fitting(fleet, nodes)
    tokens = [preview.tokens[shard.key] for shard in data.shards]
    per_round = cost_of_round(order, data.shard_count)
    notes = ([SEALED] if order.dataset.keyring else []) + ([] if data.shards else [NODE_LOCAL])
    return JobPlan(
        name=order.name,
        data=PlannedData(
            source=order.dataset.source,
            shards=[_rows(shard, preview.tokens[shard.key]) for shard in data.shards],
            shard_count=data.shard_count,
            holdout=_rows(data.holdout, preview.holdout_tokens),
            reference=_rows(data.reference, None) if data.reference else None,
            skipped_rows=data.skipped_rows,
            repeated_rows=data.repeated_rows,
        ),
        preview=preview.rows,
        model=PlannedModel(
            source=order.model.source,
            task=order.model.task,
            parameters=preview.parameters,
            trainable=preview.trainable,
            precision=training.precision,
        ),
        memory=preview.memory,
        steps=PlannedSteps(
            per_task=training.steps,
            rows_per_step=training.batch_size * training.gradient_accumulation,
            rounds=rounds,
            total=training.steps * data.shard_count * rounds,
            seconds_per_round=expected_seconds(tokens, fitting, speeds) if tokens else None,
        ),
        cost=PlannedCost(
            denomination=fleet.network.denom if fleet else None,
            reward_per_task=order.payment.reward_per_task,
            per_round=per_round,
            total=per_round * rounds,
            escrow=order.payment.budget,
            balance=fleet.account.balance if fleet and fleet.account else None,
        ),
        nodes=nodes,
        warnings=[*data.warnings, *preview.warnings, *notes],
        refusal=None if fleet is None else _refusal(order, fleet, revoked, now),
    )


def _rows(piece: ShardManifest, tokens: int | None) -> PlannedRows:
    return PlannedRows(
        key=piece.key, rows=piece.rows, bytes=piece.bytes, words=piece.tokens, tokens=tokens, labels=piece.labels
    )


def _needs(order: JobSpec, fleet: Fleet, revoked: list[str], memory: int | None, now: float) -> Needs:
    return Needs(now, fleet.heartbeat_seconds, order.payment.reward_per_task, memory, revoked)


def _nodes(
    order: JobSpec, fleet: Fleet, speeds: Mapping[int, float], revoked: list[str], memory: int | None, now: float
) -> list[PlannedNode]:
    needs = _needs(order, fleet, revoked, memory, now)
    return [
        PlannedNode(
            node=node.id,
            address=node.owner,
            capacity=node.capacity,
            hardware=hardware_of(manifest),
            tokens_per_second=speeds.get(node.id),
            obstacle=obstacle(candidate_of(node, manifest), needs),
        )
        for node, manifest in fleet.nodes
    ]


def _fitting(fleet: Fleet, nodes: list[PlannedNode]) -> list[Node]:
    fits = {one.node for one in nodes if one.obstacle is None}
    return [node for node, _ in fleet.nodes if node.id in fits]


def _refusal(order: JobSpec, fleet: Fleet, revoked: list[str], now: float) -> str | None:
    """Why the dispatcher would find no node for the tasks now; None if it would find one."""
    needs = _needs(order, fleet, revoked, None, now)
    found = AvailableNodes([], [], order.payment.reward_per_task)
    for node, manifest in fleet.nodes:
        candidate = candidate_of(node, manifest)
        if obstacle(candidate, needs, CONTRACT) is None:
            (found.nodes if is_affordable(candidate, needs) is None else found.too_expensive).append(node)
    if any(node.owner not in revoked for node in found.nodes):
        return None
    return f"No node can take a task of job {order.name!r} now: {found.why_none(None)}."
