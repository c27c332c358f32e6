"""Explains in one sentence why shards of a round have no accepted update; equal causes are counted together."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from atlas.counts import counted
from atlas.ids import NodeId
from atlas.unexpected import one_line
from resources.dispatch.outcomes import CompletedTask, Final, TaskOutcome
from resources.errors import TaskLost
from resources.jobs.registry import Attempt

LISTED = 3
"""Kinds of causes that are quoted; the others are counted."""


@dataclass(frozen=True)
class Cause:
    """Why one shard has no accepted update; `node` and `log` are those of its newest attempt, if any."""

    shard: str
    reason: str
    node: NodeId | None = None
    log: str | None = None
    final: Final | None = None

    @property
    def place(self) -> str:
        """The shard, its node, and the node's log."""
        where = self.shard if self.node is None else f"{self.shard} on node {self.node}"
        return where if self.log is None else f"{where}; log {self.log}"


def causes_of(outcomes: Iterable[TaskOutcome], attempts: Iterable[Attempt], nodes: Path) -> list[Cause]:
    """One cause for each training task of a round that was lost or whose update was refused, by shard.

    `attempts` are those of the round, by slot and attempt; `nodes` is the folder of the local nodes, whose logs are
    named by their full path.
    """
    newest = {one.slot: one for one in attempts}
    found = [_cause(outcome, newest.get(outcome.task.slot), nodes) for outcome in outcomes]
    return sorted(filter(None, found), key=lambda cause: cause.shard)


def task_lost(job: str, what: str, outcome: TaskOutcome, attempts: Iterable[Attempt], nodes: Path) -> TaskLost:
    """The error of a step of a job that cannot continue without a lost task; `what` begins its sentence."""
    (cause,) = causes_of([outcome], attempts, nodes)
    text = f"{what}: {cause.reason.rstrip('.')} ({cause.place})."
    # A round can do without a shard, but not without its evaluation.
    stuck = cause.final is not None and outcome.task.kind == "evaluate"
    return TaskLost(f"{text} {advice(job, [cause], stuck)}")


def is_stuck(causes: Sequence[Cause], shards: int, updates: int, needed: int) -> bool:
    """Whether no run of a job can bring the `needed` updates of its round: too many causes are final."""
    lost = sum(cause.final in ("repeats", "ended") for cause in causes)
    none_open = updates + len(causes) >= shards and all(cause.final for cause in causes)
    # An excluded update may pass its gate beside other updates, so it counts only if none can come.
    return none_open or shards - lost < needed


def advice(job: str, causes: Sequence[Cause], stuck: bool) -> str:
    """What to do about a round that cannot continue; `stuck` if another run of the job would end in the same way."""
    if any(cause.final == "ended" for cause in causes):
        return "Order the missing rounds as a job with another name."
    cancel = f"`atlas job cancel {job}` ends the job and returns the rest of its escrow"
    if stuck:
        return f"Another run would end in the same way: {cancel}; then order it with other settings under another name."
    return (
        "Remove the cause and run the job again, which keeps what is finished. If it needs other settings, order it "
        f"under another name; {cancel}."
    )


def _cause(outcome: TaskOutcome, newest: Attempt | None, nodes: Path) -> Cause | None:
    shard = outcome.task.shard or "evaluation"
    if isinstance(outcome, CompletedTask):
        if newest is None or newest.gate is None:
            return None
        reason = one_line(f"refused by gate {newest.gate}: {newest.reason}")
        return Cause(shard, reason, newest.node_id, final="excluded")
    if newest is None or not newest.reason or newest.reason not in outcome.reason:
        return Cause(shard, one_line(outcome.reason), final=outcome.final)
    gate = f"refused by gate {newest.gate}: " if newest.gate else ""
    log = None if newest.gate else trainer_log(newest, nodes)
    return Cause(shard, one_line(gate + newest.reason), newest.node_id, log, outcome.final)


def trainer_log(attempt: Attempt, nodes: Path) -> str:
    """The log of an attempt's trainer: the full path on a local node, otherwise the name in the node's folder."""
    name = f"{attempt.task_id}-{attempt.attempt}.log"
    local = sorted(nodes.glob(f"*/logs/{name}"))
    return str(local[0]) if local else f"logs/{name} in the folder of node {attempt.node_id}"


def describe_causes(causes: Sequence[Cause], shards: int) -> str:
    """`4 of 4 shards failed: 4 times "REASON" (first: s000 on node 1; log PATH).`, the most frequent causes first."""
    if not causes:
        return "No shard failed."
    groups: dict[str, list[Cause]] = {}
    for cause in causes:
        groups.setdefault(_kind(cause.reason), []).append(cause)
    ordered = sorted(groups.values(), key=lambda group: (-len(group), group[0].shard))
    described = [_described(group) for group in ordered[:LISTED]]
    if rest := sum(len(group) for group in ordered[LISTED:]):
        described.append(f"{rest} for other reasons; see `atlas job show`")
    return f"{len(causes)} of {counted(shards, 'shard')} failed: {'; '.join(described)}."


def _described(group: list[Cause]) -> str:
    first, count = group[0], len(group)
    if count == 1:
        return f'once "{first.reason}" ({first.place})'
    return f'{count} times "{first.reason}" (first: {first.place})'


def _kind(reason: str) -> str:
    """The reason without its numbers and names, so that reasons of one kind are equal."""
    return re.sub(r"[-+]?\d[\w.+-]*|\b(baf[ky]\w{20,}|atlas1\w+|s\d{3,})\b", "#", reason)
