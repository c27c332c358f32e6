"""The measured speeds of nodes, from the receipts of earlier tasks."""

from collections import Counter
from collections.abc import Iterator

from atlas.content.store import ContentStore
from atlas.documents.manifests import Receipt, SignedReceipt
from atlas.documents.stored import get_document
from atlas.errors import ContentNotFound
from atlas.spec.job import JobSpec
from resources.jobs.registry import JobRegistry, JobRow

MOST_RECEIPTS = 500
"""Receipts that are read per job, the newest rounds first."""


def measured_speeds(
    model: str, precision: str, contract: str, registry: JobRegistry, store: ContentStore
) -> dict[int, float]:
    """Tokens per second of one training task by node id, over all finished tasks of a model (the CID of its manifest).

    The time of a task is that in its receipt: from the moment when the node takes it, so it includes loading the model.
    Tasks that were resumed, and receipts that were removed from the store, do not count.
    """
    tokens, seconds = Counter[int](), Counter[int]()
    for row in registry.jobs():
        if (row.model_cid, row.contract) != (model, contract):
            continue
        for node, receipt in _receipts(row, registry, store):
            took = receipt.finished_at - receipt.started_at
            if receipt.adapter and not receipt.resumed_from and receipt.environment.precision == precision and took > 0:
                tokens[node] += receipt.tokens_seen
                seconds[node] += took  # type: ignore[assignment] # a Counter also adds fractions
    return {node: tokens[node] / took for node, took in seconds.items()}


def _receipts(row: JobRow, registry: JobRegistry, store: ContentStore) -> Iterator[tuple[int, Receipt]]:
    left = MOST_RECEIPTS
    for number in range(get_document(store, row.spec_cid, JobSpec).rounds, 0, -1):
        for attempt in registry.attempts(row.round(number)):
            if attempt.state != "completed" or attempt.receipt_cid is None:
                continue
            if left == 0:
                return
            left -= 1
            try:
                yield attempt.node_id, get_document(store, attempt.receipt_cid, SignedReceipt).receipt
            except ContentNotFound:
                continue  # `atlas content gc` may remove receipts of old rounds
