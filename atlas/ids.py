"""The kinds of identifiers, so that a type checker refuses one in the place of another. All are plain values."""

from typing import NewType

Cid = NewType("Cid", str)
"""A content identifier: a CIDv1 in base32. `parse_cid` makes one of a text."""

JobId = NewType("JobId", int)
"""A job's number on chain. People name a job by its `name`, which is a `str`."""

NodeId = NewType("NodeId", int)
"""A node's number on chain. The account that owns the node is an address, which is a `str`."""

TaskId = NewType("TaskId", str)
"""The identifier of a task, equal for all attempts at it; `TaskSpec.task_id` computes it."""
