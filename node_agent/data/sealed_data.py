"""The rows of a sealed shard: the node requests the key from the job's coordinator and never stores it on disk."""

import asyncio
from pathlib import Path

import stamina

from atlas import activity
from atlas.content.sealed.sealing import open_sealed
from atlas.content.sealed.wrapping import KeyContext, WrappedKey, unwrap_key
from atlas.spec.job import TaskSpec
from node_agent.errors import BusError, NodeError
from node_agent.node_context import NodeContext
from node_agent.wire import subjects
from node_agent.wire.messages import KeyAnswer, KeyRequest

ANSWER_SECONDS = 15.0
_PATIENT = stamina.AsyncRetryingCaller(attempts=20, timeout=180, wait_initial=0.5, wait_max=15)


class KeyRefused(NodeError):
    """The coordinator refuses this node the key of a task's data."""


class KeyNotYet(KeyRefused):
    """No coordinator has released the key yet; it may still be starting."""


async def sealed_rows(task: TaskSpec, shop: NodeContext, folder: Path) -> Path:
    """The rows of a task with sealed data, opened into `folder`; a file that was opened there before is reused.

    Waits up to about three minutes for a coordinator. Raises `KeyRefused` with its reason, `SealError` when the file or
    the key is not genuine, `ContentError` when the file is not available, `ChainError` when the owner of the job cannot
    be read from the chain.
    """
    rows = folder / "rows.jsonl"
    if not rows.exists():
        sealed = await asyncio.to_thread(shop.store.fetch, task.data)
        key = await _PATIENT(KeyNotYet, _ask_for_key, task, shop)
        await asyncio.to_thread(open_sealed, sealed, key, rows)
    return rows


async def _ask_for_key(task: TaskSpec, shop: NodeContext) -> bytes:
    """Send one key request; only the job's owner may sign the answer."""
    activity.begin("requesting the key of its data")
    owner = await asyncio.to_thread(shop.owner_of, task.job_id)
    request = KeyRequest(
        task=task.cid,
        task_id=task.task_id,
        round=task.round,
        slot=task.slot,
        attempt=task.attempt,
        public_key=shop.signer.public_key.hex(),
    )
    try:
        message = await shop.bus.request(subjects.keys(task.job_id), request.to_body(), ANSWER_SECONDS, sender=owner)
        answer = message.read(KeyAnswer)
    except BusError as error:
        raise KeyNotYet(f"The key of the data of task {task.task_id} cannot be requested: {error}") from error
    if answer.ephemeral is None or answer.box is None:
        refusal = KeyNotYet if answer.later else KeyRefused
        raise refusal(f"The coordinator refused the key for the data of task {task.task_id}: {answer.refused}")
    wrapped = WrappedKey(bytes.fromhex(answer.ephemeral), bytes.fromhex(answer.box))
    return unwrap_key(wrapped, shop.signer, KeyContext.of(task))
