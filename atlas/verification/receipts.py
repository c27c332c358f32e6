"""Receipts: a node signs its account of a task, and the coordinator checks it against the assigned task."""

import math

from atlas.aggregation.compression.registry import CODECS
from atlas.documents.manifests import AcceptedUpdate, Receipt, RoundManifest, SignedReceipt
from atlas.errors import VerificationError
from atlas.signing import Signer, verify_signature
from atlas.spec.job import TaskSpec


def sign_receipt(receipt: Receipt, signer: Signer) -> SignedReceipt:
    """Sign the receipt's canonical bytes with its node's key."""
    return SignedReceipt(
        receipt=receipt,
        public_key=signer.public_key.hex(),
        signature=signer.sign(receipt.canonical_bytes()).hex(),
    )


def verify_receipt(signed: SignedReceipt, task: TaskSpec, address: str, codec: str) -> Receipt:
    """Return the receipt if `address` signed it and it matches this task; else raise `VerificationError`.

    `codec` is the job's codec for updates.
    """
    receipt = signed.receipt
    expected = {
        "node": address,
        "task": task.cid,
        "task_id": task.task_id,
        "attempt": task.attempt,
        "data": task.data,
        "base": task.base,
        "resumed_from": task.resume,
    }
    for field, value in expected.items():
        found = getattr(receipt, field)
        if field == "resumed_from" and found is None:
            continue  # a node may start from the beginning: the result is the same and only takes longer
        if found != value:
            raise VerificationError(f"The receipt of task {task.task_id} has {field} {found}, expected {value}.")
    try:
        public_key, signature = bytes.fromhex(signed.public_key), bytes.fromhex(signed.signature)
    except ValueError as error:
        raise VerificationError(f"The receipt of task {task.task_id} has a key or signature not in hex.") from error
    verify_signature(receipt.canonical_bytes(), signature, public_key, address)
    _verify_result(receipt, task)
    _verify_compression(receipt, task, codec)
    return receipt


def verify_update_receipt(
    signed: SignedReceipt, task: TaskSpec, update: AcceptedUpdate, manifest: RoundManifest, address: str, codec: str
) -> None:
    """Raise `VerificationError` unless `address` signed this receipt for the update in a round manifest.

    `task` is the task that the receipt names: that of the manifest's job, round and base, on the update's shard.
    """
    expected = {
        "job": manifest.job,
        "round": manifest.round,
        "base": manifest.base,
        "shard": update.shard,
        "data": update.data,
    }
    for field, value in expected.items():
        if (found := getattr(task, field)) != value:
            raise VerificationError(
                f"The receipt is of a task whose {field} is {found}, expected {value}.",
                expected=str(value),
                found=str(found),
            )
    receipt = verify_receipt(signed, task, address, codec)
    if receipt.adapter != update.adapter:
        raise VerificationError(
            f"The receipt names the update {receipt.adapter}, but the round manifest lists {update.adapter}.",
            expected=update.adapter,
            found=receipt.adapter,
        )


def _verify_result(receipt: Receipt, task: TaskSpec) -> None:
    if task.kind == "train":
        if receipt.adapter is None:
            raise VerificationError(f"The receipt of training task {task.task_id} names no adapter.")
        return
    if sorted(receipt.metrics) != sorted(task.checkpoints):
        raise VerificationError(
            f"The receipt of evaluation task {task.task_id} has metrics of {sorted(receipt.metrics)}, "
            f"expected {sorted(task.checkpoints)}."
        )
    rivals = set(task.checkpoints[2:])
    for checkpoint, metrics in sorted(receipt.metrics.items()):
        needed = {"loss", "reference_loss"} if checkpoint in rivals else {"loss"}
        if not needed <= metrics.keys() or not all(math.isfinite(value) for value in metrics.values()):
            raise VerificationError(
                f"The metrics of checkpoint {checkpoint} lack a finite {' or '.join(sorted(needed))}: {metrics}."
            )


def _verify_compression(receipt: Receipt, task: TaskSpec, codec: str) -> None:
    """Check that an update has an encoded form if and only if it is compressed.

    A residual is allowed only if the codec uses error feedback.
    """
    compressed = task.kind == "train" and codec != "none"
    if compressed and receipt.encoded is None:
        raise VerificationError(
            f"The receipt of task {task.task_id} names no encoded update, though its job compresses with {codec}."
        )
    if not compressed and receipt.encoded is not None:
        raise VerificationError(f"The receipt of task {task.task_id} names an encoded update; nothing is compressed.")
    if receipt.residual is not None and not (compressed and CODECS[codec].error_feedback):
        raise VerificationError(f"The receipt of task {task.task_id} names a residual, but nothing is ever left over.")
