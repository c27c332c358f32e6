"""The subjects of the bus. Messages on them carry identifiers, never tensors."""

from typing import Literal

from atlas.ids import JobId, NodeId, TaskId


def assign(node_id: NodeId) -> str:
    """Requests by coordinators: an `AssignHint`, answered with a `TaskReport`."""
    return f"atlas.tasks.assign.{node_id}"


def pipes(task_id: TaskId | Literal["*"]) -> str:
    """Dagster Pipes messages of one task, as its trainer prints them: a `PipesLine`."""
    return f"atlas.tasks.{task_id}.pipes"


def gradients(job_id: JobId) -> str:
    """The final `TaskReport` of each task of a job."""
    return f"atlas.fl.gradients.{job_id}"


def model(job_id: JobId) -> str:
    """The checkpoint that each round of a job ends with: a `RoundCheckpoint`, published before its evaluation."""
    return f"atlas.fl.model.{job_id}"


def aggregator(job_id: JobId) -> str:
    """The coordinator's `CoordinatorPresence`, every 30 s while it works on a round of the job."""
    return f"atlas.fl.aggregator.{job_id}"


def rollback(job_id: JobId) -> str:
    """A `TaskReport` for each training checkpoint that a node has uploaded, and from which work can resume."""
    return f"atlas.recovery.rollback.{job_id}"


def keys(job_id: JobId) -> str:
    """Requests by nodes for the key of a sealed shard: a `KeyRequest`, answered with a `KeyAnswer`."""
    return f"atlas.keys.{job_id}"


def heartbeat(node_id: NodeId | Literal["*"]) -> str:
    """A node's `Heartbeat`; `*` subscribes to every node."""
    return f"atlas.nodes.{node_id}.heartbeat"
