"""Updates in the form of Flower's server: replies in memory."""

import logging

import numpy as np
from common import read_tensors, update_path, weight_of
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.supercore.task_identity import TaskIdentity

logging.disable(logging.INFO)
TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1


def record(arrays: dict[str, np.ndarray], weight: float) -> RecordDict:
    """The content of a client's reply."""
    content = ArrayRecord({name: Array(values) for name, values in arrays.items()})
    return RecordDict({"arrays": content, "metrics": MetricRecord({"num-examples": weight})})


def records(folder: str, updates: int) -> list[RecordDict]:
    """The replies of all clients."""
    return [record(read_tensors(update_path(folder, number)), weight_of(number)) for number in range(updates)]


def messages(contents: list[RecordDict]) -> list[Message]:
    """Replies as messages, the input of the strategies."""
    return [Message(content, dst_node_id=1, message_type="train") for content in contents]
