"""What a node sent: read, verify, and pass through the gate."""

from collections.abc import Callable

from atlas.aggregation.gates import Refusal
from atlas.content.store import ContentStore, get_document
from atlas.errors import ContentError, SpecError, VerificationError
from atlas.manifests import Receipt, SignedReceipt
from atlas.spec import TaskSpec
from atlas.verification.receipts import verify_receipt
from node_agent.messages import TaskReport
from resources.outcomes import CompletedTask
from resources.work import Held

Gate = Callable[[TaskSpec, Receipt], Refusal | None]


def receive_result(held: Held, report: TaskReport, store: ContentStore, gate: Gate) -> CompletedTask | Refusal:
    """The result that a report names, with its bytes in the store, or why it is refused."""
    if report.receipt is None:
        return Refusal("receipt", "the node reports the task as completed, but names no receipt")
    try:
        signed = get_document(store, report.receipt, SignedReceipt)
        receipt = verify_receipt(signed, held.task, held.address)
        if receipt.adapter is not None:
            store.fetch(receipt.adapter)
    except (ContentError, SpecError, VerificationError) as error:
        return Refusal("receipt", str(error))
    refusal = gate(held.task, receipt)
    return refusal or CompletedTask(held.task, held.task_cid, held.node_id, signed, report.receipt)
