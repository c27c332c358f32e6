"""Orders whose data is sealed, and what a node says and does to get a key."""

from atlas.content.sealed.wrapping import KeyContext, WrappedKey, unwrap_key
from atlas.signing import KeyHolder
from atlas.spec.job import JobSpec, TaskSpec
from node_agent.wire.messages import KeyAnswer, KeyRequest


def sealed(spec: JobSpec) -> JobSpec:
    """The same order, sealed with the key ring `ward`."""
    return spec.model_copy(update={"dataset": spec.dataset.model_copy(update={"keyring": "ward"})})


def request_for(task: TaskSpec, key: KeyHolder) -> KeyRequest:
    return KeyRequest(
        task=task.cid,
        task_id=task.task_id,
        round=task.round,
        slot=task.slot,
        attempt=task.attempt,
        public_key=key.public_key.hex(),
    )


def unwrap(answer: KeyAnswer, task: TaskSpec, key: KeyHolder) -> bytes:
    wrapped = WrappedKey(bytes.fromhex(answer.ephemeral), bytes.fromhex(answer.box))
    return unwrap_key(wrapped, key, KeyContext.of(task))
