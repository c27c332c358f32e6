"""The end of a trained task: upload its update, and sign its receipt."""

import asyncio
from pathlib import Path

import stamina

from atlas import activity
from atlas.content.format.cid import cid_of_file
from atlas.content.store import ContentStore
from atlas.documents.manifests import Receipt
from atlas.errors import ContentError
from atlas.ids import Cid
from atlas.spec.job import TaskSpec
from atlas.verification.receipts import sign_receipt
from node_agent.home.journal import JournalEntry
from node_agent.home.residuals import residual_place
from node_agent.node_context import NodeContext
from node_agent.tasks.trainer_files import TrainerResult


async def hand_over(
    shop: NodeContext, entry: JournalEntry, task: TaskSpec, result: TrainerResult, started_at: float
) -> dict[str, Cid | None]:
    """Upload the result; return the CIDs of the adapter (None for an evaluation) and of the signed receipt.

    Raises `ContentError` when the store does not answer for two minutes.
    """
    activity.begin("uploading its result")
    adapter, encoded = await _put_update(shop.store, result)
    receipt = Receipt(
        task=entry.task,
        task_id=task.task_id,
        attempt=task.attempt,
        node=shop.signer.address,
        data=task.data,
        base=task.base,
        adapter=adapter,
        encoded=encoded,
        residual=result.added,
        steps=result.steps,
        rows_seen=result.rows_seen,
        tokens_seen=result.tokens_seen,
        losses=result.losses,
        checkpoints=entry.checkpoints,
        resumed_from=task.resume if result.resumed else None,
        metrics=result.metrics,
        environment=result.environment,
        started_at=started_at,
        finished_at=shop.clock(),
    )
    signed = await _put(shop.store, sign_receipt(receipt, shop.signer).canonical_bytes())
    if result.residual is not None:
        now = shop.clock()
        await asyncio.to_thread(shop.residuals.keep, residual_place(task), task.round, result.residual, now)
    return {"adapter": adapter, "receipt": signed}


async def _put_update(store: ContentStore, result: TrainerResult) -> tuple[Cid | None, Cid | None]:
    """Upload the update, compressed if it is; return the CIDs of its decoded and encoded form, None where missing."""
    if result.adapter is None:
        return None, None
    if result.encoded is None:
        return await _put(store, result.adapter), None
    return await asyncio.to_thread(cid_of_file, result.adapter), await _put(store, result.encoded)


async def _put(store: ContentStore, source: Path | bytes) -> Cid:
    put = stamina.AsyncRetryingCaller(attempts=8, timeout=120, wait_initial=0.5, wait_max=30)
    return await put(ContentError, asyncio.to_thread, store.put, source)
