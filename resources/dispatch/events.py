"""Messages for people about the events of a task: one function per event, each returns one line."""

from collections.abc import Iterable

from atlas.aggregation.gates.refusal import Refusal
from atlas.documents.manifests import RoundManifest
from atlas.ids import NodeId
from atlas.spec.job import TaskSpec
from atlas.unexpected import one_line
from resources.dispatch.outcomes import CompletedTask, TaskOutcome


def assigned(task: TaskSpec, node: NodeId) -> str:
    """A task was assigned to a node."""
    return f"{name_of(task)}: assigned to node {node}, attempt {task.attempt}"


def adopted(task: TaskSpec, node: NodeId) -> str:
    """A run takes over a task that a node holds from an earlier run."""
    return f"{name_of(task)}: taken over from an earlier run, node {node}, attempt {task.attempt}"


def moved(task: TaskSpec, before: int, node: NodeId, step: int | None) -> str:
    """A task was assigned again after a lost attempt; `step` is its training checkpoint's, None without one."""
    way = f"moves from node {before} to node {node}" if node != before else f"restarts on node {node}"
    return f"{name_of(task)}: {way} and {resumes(step)} (attempt {task.attempt})"


def restarted(task: TaskSpec, node: NodeId, reason: str, step: int | None) -> str:
    """A trainer was restarted on its node; `step` None stands for the checkpoint that the attempt began with."""
    where = "resumes from the checkpoint that it was given" if step is None else resumes(step)
    return f"{name_of(task)}: {one_line(reason)} on node {node}; it {where}"


def resumes(step: int | None) -> str:
    """The step from which work resumes."""
    return f"resumes from step {step}" if step else "starts from the beginning"


def lost(task: TaskSpec, node: NodeId, reason: str) -> str:
    """An attempt ended without a result."""
    return f"{name_of(task)}: attempt {task.attempt} on node {node} is lost: {one_line(reason)}"


def refused(task: TaskSpec, node: NodeId, refusal: Refusal) -> str:
    """A gate refused an update."""
    return (
        f"{name_of(task)}: the update of attempt {task.attempt} on node {node} is refused by the gate {refusal.gate}: "
        f"{one_line(refusal.reason)}"
    )


def left_out(manifest: RoundManifest, outcomes: Iterable[TaskOutcome]) -> list[str]:
    """One line for each update that passed on arrival but was refused when all updates were compared."""
    arrived = {(one.task.shard, one.task.attempt) for one in outcomes if isinstance(one, CompletedTask)}
    return [
        f"{one.shard}, round {manifest.round}: its update is refused by the gate {one.gate}, after all updates were "
        f"compared: {one_line(one.reason)}"
        for one in manifest.refused
        if (one.shard, one.attempt) in arrived
    ]


def waiting(task: TaskSpec, seconds: float, reason: str) -> str:
    """No node can take a task for now."""
    return f"{name_of(task)}: waits at most {seconds:g} s, because {one_line(reason)}"


def name_of(task: TaskSpec) -> str:
    """The display name of a task: its shard, or `evaluation`, and its round."""
    return f"{task.shard or 'evaluation'}, round {task.round}"
