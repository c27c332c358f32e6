"""The content that a job uses, found by following its documents. Blocking."""

from collections.abc import Iterable
from typing import TypeVar

from atlas.content.store import ContentStore
from atlas.documents.document import Document
from atlas.documents.manifests import Checkpoint, DatasetManifest, RoundEvidence, RoundManifest, SignedReceipt
from atlas.documents.stored import get_document
from atlas.errors import ContentError, ContentNotFound, SpecError
from atlas.ids import Cid
from atlas.spec.job import JobSpec, TaskSpec
from atlas.spec.task_plan import TaskPlan
from chain_bridge.client.messages import Round
from resources.jobs.opened import OpenJob
from resources.jobs.registry import Attempt, JobRegistry, JobRow
from resources.retention.retention import Part, Use
from resources.rounds.tasks import reference_task

Kind = TypeVar("Kind", bound=Document)


class JobWalk:
    """Collects the uses of one job. A document of a round that is gone is listed, but not followed.

    For a job that is `over`, only the ancestors of its result are read: other documents may have been removed.
    """

    def __init__(self, row: JobRow, over: bool, store: ContentStore, registry: JobRegistry) -> None:
        self.row = row
        self._over = over
        self._store = store
        self._registry = registry
        self._found: dict[Use, None] = {}
        self._parts: dict[Cid, set[Part]] = {}
        self._followed: set[tuple[Cid, bool]] = set()

    @property
    def uses(self) -> tuple[Use, ...]:
        """The uses, in the order in which they were found."""
        return tuple(self._found)

    def is_here(self) -> bool:
        """Whether this store holds a document that no other job has."""
        return any(self._store.has(cid) for cid in (self.row.spec_cid, self.row.genesis_cid))

    def parts(self, cid: Cid) -> set[Part]:
        """The roles of a CID in the job; empty if the job does not use it."""
        return self._parts.get(cid, set())

    def follow_all(self, submitted: Iterable[Round]) -> None:
        """Follow everything in the registry and on chain; `submitted` are the job's rounds on chain.

        Raises `ContentError` when a document that defines the job cannot be read: its needs would then be unknown.
        """
        row = self.row
        spec, dataset = self._defining(row.spec_cid, JobSpec), self._defining(row.dataset_cid, DatasetManifest)
        self._defining(row.genesis_cid, Checkpoint)
        self._add(row.spec_cid, "order", "spec")
        self._add(row.model_cid, "order", "model manifest")
        self._add(row.dataset_cid, "order", "dataset manifest")
        self._add(dataset.holdout.cid, "order", "held-out rows")
        self._follow_data(dataset)
        self.follow_checkpoint(row.genesis_cid, final=True)
        for round_ in submitted:
            self._follow_submitted(round_)
        job = OpenJob(
            row.job_id, row.contract, spec, row.spec_cid, row.model_cid, dataset, row.dataset_cid, row.genesis_cid
        )
        for number in range(1, spec.rounds + 1):
            for attempt in self._registry.attempts(row.round(number)):
                self._follow_attempt(job, number, attempt)

    def follow_checkpoint(self, cid: Cid, final: bool) -> None:
        """Follow a checkpoint and its ancestors; `final` if it is the job's result or an ancestor of it."""
        while (cid, final) not in self._followed:
            self._followed.add((cid, final))
            found = self._read(cid, Checkpoint) if final or not self._over else None
            number = found.round if found else 0
            self._add(cid, "record" if final else "passing", "checkpoint", number)
            if found is None:
                return
            files: Part = "weights" if final else "passing"
            self._add(found.adapter, files, "adapter of the checkpoint", number)
            for factors in found.merged:
                self._add(factors, files, "merged factors of the checkpoint", number)
            self._add(found.optimizer, files, "optimizer state of the checkpoint", number)
            if found.manifest is not None:
                self.follow_manifest(found.manifest, final)
            if found.parent is None:
                return
            cid = found.parent

    def follow_manifest(self, cid: Cid, final: bool) -> None:
        """Follow a round's manifest and the updates that it lists."""
        found = self._read(cid, RoundManifest)
        number = found.round if found else 0
        self._add(cid, "record" if final else "passing", "round manifest", number)
        if found is None:
            return
        update: Part = "update" if final else "passing"
        for one in found.updates:
            self._add(one.adapter, update, f"update of {one.shard}", number)
            self._add(one.data, "data" if final else "passing", f"shard {one.shard}")
        self._add(found.reference, update, "update of the reference rows", number)
        for refused in found.refused:
            self._add(refused.adapter, "upload", f"refused update of {refused.shard}", number)

    def follow_plan(self, cid: Cid, plan: TaskPlan) -> None:
        """Follow a plan of leases, and its tasks."""
        self._add(cid, "record", "plan", plan.round)
        for planned in plan.tasks:
            self._add(planned.task, "record", f"task of slot {planned.slot}, attempt {planned.attempt}", plan.round)

    def follow_task(self, cid: Cid, task: TaskSpec) -> None:
        """Follow a task, and the checkpoints that it names."""
        self._add(cid, "record", f"task of {_label(task)}", task.round)
        self._add(task.resume, "upload", f"training checkpoint of {_label(task)}", task.round)
        for checkpoint in (task.base, *task.checkpoints):
            self.follow_checkpoint(checkpoint, final=False)

    def follow_receipt(self, cid: Cid, signed: SignedReceipt | None, label: str, number: int) -> None:
        """Follow a receipt, and the content that its node uploaded."""
        self._add(cid, "record", f"receipt of {label}", number)
        if signed is None:
            return
        receipt = signed.receipt
        self._add(receipt.adapter, "upload", f"update of {label}", number)
        self._add(receipt.encoded, "upload", f"encoded update of {label}", number)
        self._add(receipt.residual, "upload", f"residual of {label}", number)
        for one in (receipt.resumed_from, *(saved.cid for saved in receipt.checkpoints)):
            self._add(one, "upload", f"training checkpoint of {label}", number)

    def follow_evidence(self, cid: Cid, evidence: RoundEvidence | None, number: int, final: bool) -> None:
        """Follow the evidence of a round, and the receipts that it lists."""
        self._add(cid, "record" if final else "passing", "evidence", number)
        for one in evidence.records if evidence else ():
            self._add(one.receipt, "record", f"receipt of {one.shard or 'evaluation'}, attempt {one.attempt}", number)

    def add_diagnostics(self, cid: Cid, manifest: Cid) -> None:
        """Add the diagnostics of a round, which stay as long as their manifest."""
        self._add(cid, "record" if "record" in self.parts(manifest) else "passing", "diagnostics")

    def _follow_data(self, dataset: DatasetManifest) -> None:
        for shard in dataset.shards:
            self._add(shard.cid, "data", f"shard {shard.key}")
        if dataset.reference is not None:
            self._add(dataset.reference.cid, "data", "reference rows")

    def _follow_submitted(self, submitted: Round) -> None:
        evidence = self._read(submitted.evidence, RoundEvidence)
        self.follow_evidence(submitted.evidence, evidence, submitted.round, final=True)
        self.follow_checkpoint(submitted.checkpoint, final=True)

    def _follow_attempt(self, job: OpenJob, number: int, attempt: Attempt) -> None:
        shards = job.dataset.shards
        what = shards[attempt.slot].key if attempt.slot < len(shards) else "evaluation"
        label = f"{what}, attempt {attempt.attempt}"
        task = self._read(attempt.task_cid, TaskSpec)
        self._add(attempt.task_cid, "record", f"task of {label}", number)
        if task is not None:
            self.follow_task(attempt.task_cid, task)
            self._add_reference(job, number, task.base)
        if attempt.receipt_cid is not None:
            self.follow_receipt(attempt.receipt_cid, self._read(attempt.receipt_cid, SignedReceipt), label, number)
        if attempt.result_cid != attempt.receipt_cid:
            part: Part = "passing" if attempt.state == "completed" else "upload"
            self._add(attempt.result_cid, part, f"update of {label}", number)
        saved = self._registry.newest_checkpoint(attempt.task_id)
        self._add(saved.cid if saved else None, "upload", f"training checkpoint of {label}", number)

    def _add_reference(self, job: OpenJob, number: int, base: Cid) -> None:
        """Add the update of the reference rows of a round that no manifest lists yet."""
        if job.dataset.reference is not None:
            task = reference_task(job, number, base, job.dataset.reference)
            made = self._registry.own_work(f"reference update {task.task_id}")
            self._add(made, "passing", "update of the reference rows", number)

    def _add(self, cid: Cid | None, part: Part, what: str, number: int = 0) -> None:
        if cid is not None:
            self._found[Use(cid, part, what, number)] = None
            self._parts.setdefault(cid, set()).add(part)

    def _read(self, cid: Cid, kind: type[Kind]) -> Kind | None:
        """A document of a round; None if it is gone, or has a form that this version cannot read."""
        try:
            return get_document(self._store, cid, kind)
        except (ContentNotFound, SpecError):
            return None

    def _defining(self, cid: Cid, kind: type[Kind]) -> Kind:
        try:
            return get_document(self._store, cid, kind)
        except (ContentNotFound, SpecError) as error:
            raise ContentError(
                f"The content that job {self.row.name!r} needs is not known, because its {kind.__name__} cannot be "
                f"read: {error} Nothing is removed until it can be read; add it again from a copy."
            ) from error


def _label(task: TaskSpec) -> str:
    return f"{task.shard or 'evaluation'}, attempt {task.attempt}"
