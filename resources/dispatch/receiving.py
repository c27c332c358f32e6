"""Receive a node's result: read it, verify it, decode it if it was compressed, and check it at the gate."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from atlas.aggregation.compression.settings import CompressionSpec
from atlas.aggregation.gates.refusal import Refusal
from atlas.content.format.cid import cid_of_file
from atlas.content.store import ContentStore
from atlas.documents.manifests import Checkpoint, Receipt, SignedReceipt
from atlas.documents.stored import get_document
from atlas.errors import AggregationError, ContentError, SpecError, VerificationError
from atlas.ids import Cid
from atlas.spec.job import JobSpec, TaskSpec
from atlas.verification.receipts import verify_receipt
from node_agent.wire.messages import TaskReport
from resources.dispatch.outcomes import CompletedTask
from resources.dispatch.work import Held

CheckUpdate = Callable[[TaskSpec, Receipt], Refusal | None]


def receive_result(held: Held, report: TaskReport, store: ContentStore, check: CheckUpdate) -> CompletedTask | Refusal:
    """The result that a report names, with its bytes in the store, or why it is refused.

    An accepted result is replicated like content that is put here, because its node may be gone when somebody verifies
    it.
    """
    if report.receipt is None:
        return Refusal("receipt", "the node reports the task as completed, but names no receipt")
    try:
        signed = get_document(store, report.receipt, SignedReceipt)
        if signed.receipt.base != held.task.base:
            return _stale(signed.receipt, held.task)
        codec = get_document(store, held.task.job, JobSpec).aggregation.compression
        receipt = verify_receipt(signed, held.task, held.address, codec.codec)
        refusal = _fetch_update(receipt, codec, store)
    except (ContentError, SpecError, VerificationError) as error:
        return Refusal("receipt", str(error))
    refusal = refusal or check(held.task, receipt)
    if refusal:
        return refusal
    for cid in filter(None, (report.receipt, receipt.adapter)):
        store.replicate(cid)
    return CompletedTask(held.task, held.task_cid, held.node_id, signed, report.receipt)


def _stale(receipt: Receipt, task: TaskSpec) -> Refusal:
    """Refuse an update of another round: each round has another base."""
    return Refusal("stale", f"starts from {receipt.base}, expected {task.base}, the base of round {task.round}")


def _fetch_update(receipt: Receipt, codec: CompressionSpec, store: ContentStore) -> Refusal | None:
    """Fetch the update into the store; decode it if it was compressed."""
    if receipt.encoded is not None:
        return _decode_update(receipt.encoded, receipt, codec, store)
    if receipt.adapter is not None:
        store.fetch(receipt.adapter)
    return None


def _decode_update(encoded: Cid, receipt: Receipt, codec: CompressionSpec, store: ContentStore) -> Refusal | None:
    from atlas.aggregation.compression.wire import decode_update  # numpy, which is only needed with a codec

    base = store.fetch(get_document(store, receipt.base, Checkpoint).adapter)
    with tempfile.TemporaryDirectory() as folder:
        decoded = Path(folder) / "adapter.safetensors"
        try:
            decode_update(store.fetch(encoded), base, codec, decoded)
        except AggregationError as error:
            return Refusal("readable", f"the encoded update {encoded} cannot be decoded: {error}")
        found = cid_of_file(decoded)
        if found != receipt.adapter:
            return Refusal("receipt", f"the encoded update {encoded} decodes to {found}, expected {receipt.adapter}")
        store.put(decoded)
    return None
