"""Documents that no local record references, but that name their own job.

A plan is named only by leases on chain, and a receipt that no run has processed yet only by its node. Both are found
here, whether or not the chain answers.
"""

import json
from collections.abc import Callable, Collection, Iterable
from typing import Any

from atlas.documents.document import Document
from atlas.documents.manifests import Checkpoint, RoundEvidence, RoundManifest, SignedReceipt
from atlas.documents.round_diagnostics import RoundDiagnostics
from atlas.errors import SpecError
from atlas.ids import Cid
from atlas.spec.job import TaskSpec
from atlas.spec.task_plan import TaskPlan
from resources.retention.content_uses import JobWalk

LARGEST = 4 << 20
"""The largest document, in bytes: a plan of 10,000 tasks has 1.2 million."""
KINDS: dict[str, type[Document]] = {
    "plan": TaskPlan,
    "train": TaskSpec,
    "evaluate": TaskSpec,
    "": SignedReceipt,
    "round": RoundManifest,
    "checkpoint": Checkpoint,
    "evidence": RoundEvidence,
    "diagnostics": RoundDiagnostics,
}
ORDER = (TaskPlan, TaskSpec, SignedReceipt, Checkpoint, RoundManifest, RoundEvidence, RoundDiagnostics)
"""The order of processing: a receipt is matched by its task, and diagnostics by their manifest."""


def follow_strays(cids: Iterable[Cid], peek: Callable[[Cid], bytes | None], walks: Collection[JobWalk]) -> None:
    """Pass each document among `cids` to the walk of its job; `peek` reads one, None if it is gone."""
    found = [(cid, document) for cid in cids if (document := parse_document(peek(cid) or b"")) is not None]
    for cid, document in sorted(found, key=lambda item: (ORDER.index(type(item[1])), item[0])):
        for walk in walks:
            _add_to_walk(walk, cid, document)


def parse_document(data: bytes) -> Any:
    """A document that belongs to a round; None for anything else."""
    if data[:1] != b"{":
        return None
    try:
        raw = json.loads(data)
        kind = KINDS.get(str(raw.get("kind", "")))
        return None if kind is None else kind.from_bytes(data)
    except (ValueError, SpecError):
        return None


def _add_to_walk(walk: JobWalk, cid: Cid, document: Any) -> None:
    row = walk.row
    match document:
        case TaskPlan() if (document.contract, document.job_id) == (row.contract, row.job_id):
            walk.follow_plan(cid, document)
        case TaskSpec() if (document.contract, document.job_id) == (row.contract, row.job_id):
            walk.follow_task(cid, document)
        case SignedReceipt() if walk.parts(document.receipt.task):
            receipt = document.receipt
            label = f"task {receipt.task_id}, attempt {receipt.attempt}"
            walk.follow_receipt(cid, document, label, number=0)
        case Checkpoint() if document.job == row.spec_cid:
            walk.follow_checkpoint(cid, final=False)
        case RoundManifest() if document.job == row.spec_cid:
            walk.follow_manifest(cid, final=False)
        case RoundEvidence() if (document.contract, document.job_id) == (row.contract, row.job_id):
            walk.follow_evidence(cid, document, document.round, final=False)
        case RoundDiagnostics() if walk.parts(document.manifest):
            walk.add_diagnostics(cid, document.manifest)
