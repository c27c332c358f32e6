"""One round of a job, as the coordinator works on it: tasks, gates, manifest, checkpoint, evaluation and settlement."""

import time
from collections.abc import Callable, Collection, Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from atlas.content.verified import VerifiedStore
from atlas.documents.manifests import Checkpoint, RoundEvidence, RoundManifest, ScoringMethod
from atlas.documents.round_diagnostics import RoundDiagnostics
from atlas.documents.stored import put_document
from atlas.home import AtlasHome
from atlas.ids import Cid
from atlas.spec.job import TaskSpec
from atlas.verification.contribution import NEUTRAL, alignment_scores
from chain_bridge.ledger import Ledger
from resources.dispatch.outcomes import CompletedTask, TaskOutcome
from resources.errors import QuorumError, TaskLost
from resources.jobs.opened import OpenJob
from resources.jobs.registry import Attempt, JobRegistry, RoundRef
from resources.rounds.causes import Cause, causes_of, task_lost
from resources.rounds.evaluating import assigned_evaluation
from resources.rounds.evidence import build_evidence, check_completed, completed, receipt_of
from resources.rounds.manifest import accepted_update, refused_updates
from resources.rounds.quorum import quorum_error, quorum_reached
from resources.rounds.scoring import evaluated_without, manifest_of, scores_by_losses, scoring_method
from resources.rounds.settle import Settlement, publish_model, settle_evidence
from resources.rounds.submissions import base_checkpoint
from resources.rounds.tasks import evaluation_task, training_tasks

if TYPE_CHECKING:
    from atlas.rounds.aggregation import RoundAggregation
    from resources.rounds.round_gate import RoundGate

CHAIN_PATIENCE_SECONDS = 60.0


class Round:
    """One round of a job.

    What is asked of the chain, verified, parsed or computed for one step is held for the others: the base, the files
    and documents of the round, the geometry of its updates, the checkpoints without one update. So a `Round` serves
    one run; a later run makes another.
    """

    def __init__(
        self,
        job: OpenJob,
        number: int,
        home: AtlasHome,
        store: VerifiedStore,
        registry: JobRegistry,
        connect: Callable[[], Ledger],
    ) -> None:
        """`connect` returns the connection to the chain; it is called when a step needs the chain."""
        self.job = job
        self.number = number
        self.home = home
        self.store = store
        self.registry = registry
        self._connect = connect
        self._aggregations: dict[Cid, RoundAggregation] = {}
        """By the CID of the manifest."""
        self._without: dict[Cid, dict[str, Cid]] = {}
        """The checkpoints without one update, by the CID of the round's checkpoint."""

    @property
    def ledger(self) -> Ledger:
        """The connection to the chain."""
        return self._connect()

    @property
    def ref(self) -> RoundRef:
        """The registry's key of the round."""
        return self.job.round(self.number)

    @property
    def attempts(self) -> list[Attempt]:
        """The attempts so far, by slot and attempt."""
        return self.registry.attempts(self.ref)

    @cached_property
    def base(self) -> Cid:
        """CID of the checkpoint that the round starts from; raises as `base_checkpoint` does."""
        return base_checkpoint(self.job, self.number, self.ledger)

    def training_tasks(self, shards: Collection[str] | None = None) -> list[TaskSpec]:
        """First attempts at training the shards, all or those with these keys, in shard order."""
        return training_tasks(self.job, self.number, self.base, shards)

    def gate(self) -> "RoundGate":
        """The gates of the round, which know the updates accepted so far."""
        from resources.rounds.round_gate import RoundGate  # numpy, which most importers of this module do not need

        return RoundGate(self.job, self.number, self.base, self.store, self.registry)

    def causes(self, outcomes: Iterable[TaskOutcome]) -> list[Cause]:
        """Why shards have no accepted update, one cause each, by shard."""
        return causes_of(outcomes, self.attempts, self.home.nodes)

    def task_lost(self, what: str, outcome: TaskOutcome) -> TaskLost:
        """The error of a step that cannot continue without a lost task; `what` is the beginning of its sentence."""
        return task_lost(self.job.name, what, outcome, self.attempts, self.home.nodes)

    def build_manifest(self, outcomes: Iterable[TaskOutcome], reference: Cid | None = None) -> RoundManifest:
        """List the updates, accepted and refused, by shard, and put the manifest into the store.

        The gates check the whole round once more; updates refused now are left out, and recorded in the registry.
        `reference` is the update of the reference rows. Raises `QuorumError`, with the causes, when no update is left.
        """
        outcomes = list(outcomes)
        results = [one for one in outcomes if isinstance(one, CompletedTask)]
        refused = self.gate().check_all(results) if results else {}
        for one in results:
            place = (self.ref, one.task.slot, one.task.attempt)
            if verdict := refused.get(one.task.slot):
                self.registry.record_excluded(*place, verdict.gate, verdict.reason)
            else:
                self.registry.record_included(*place)
        accepted = [accepted_update(self.job, one) for one in results if one.task.slot not in refused]
        if not accepted:
            raise quorum_error(self.job, self.number, 0, self.causes(outcomes))
        manifest = RoundManifest(
            job=self.job.spec_cid,
            round=self.number,
            base=self.base,
            strategy=self.job.spec.aggregation.strategy,
            updates=sorted(accepted, key=lambda update: update.shard),
            reference=reference,
            refused=refused_updates(self.job, self.attempts),
        )
        put_document(self.store, manifest)
        return manifest

    def too_few(self, manifest: RoundManifest, causes: Collection[Cause]) -> QuorumError | None:
        """The error of a manifest with too few updates for the quorum; None if the quorum is reached."""
        if quorum_reached(self.job, manifest):
            return None
        return quorum_error(self.job, self.number, len(manifest.updates), list(causes))

    def aggregate(self, manifest: RoundManifest) -> Checkpoint:
        """The checkpoint that the round ends with; it and its files are in the store.

        Raises as `RoundAggregation` does.
        """
        return self._aggregation(manifest).aggregate()[1]

    def diagnose(self, manifest: RoundManifest) -> RoundDiagnostics:
        """The diagnostics of the aggregation, which are in the store; raises as `RoundAggregation` does."""
        diagnostics = self._aggregation(manifest).diagnose()
        put_document(self.store, diagnostics)
        return diagnostics

    def checkpoints_without(self, checkpoint: Cid) -> dict[str, Cid]:
        """By shard, the CID of the round's checkpoint without that shard's update.

        Empty if the round is not scored by leave-one-out. Those of the round's evaluation, if one was assigned; else
        they are aggregated, and put into the store.
        """
        manifest = manifest_of(checkpoint, self.store)
        if scoring_method(self.job, manifest) != "leave-one-out":
            return {}
        if checkpoint not in self._without:
            evaluation = self._assigned_evaluation(manifest.base, checkpoint)
            found = evaluated_without(evaluation, manifest, self.store) if evaluation else None
            self._without[checkpoint] = found or self._aggregation(manifest).aggregate_without_each()
        return self._without[checkpoint]

    def plan_evaluation(self, checkpoint: Cid) -> TaskSpec:
        """The first attempt at evaluating the round's checkpoint, with the alternatives that are cheap to evaluate.

        These are the checkpoints without one update each, if the scores need them, and the result of plain averaging
        if the robust rule changed anything. An evaluation that was already assigned is kept.
        """
        assigned = self._assigned_evaluation(self.base, checkpoint)
        if assigned is not None:
            return assigned
        mean = self._aggregation(manifest_of(checkpoint, self.store)).plain_mean()
        alternative = None if mean == checkpoint else mean
        without = self.checkpoints_without(checkpoint)
        return evaluation_task(self.job, self.number, self.base, checkpoint, without, alternative)

    def evidence(self, checkpoint: Cid) -> RoundEvidence:
        """The evidence of the round, from the coordinator's record and content; raises as `check_completed` does."""
        attempts = self.attempts
        check_completed(self.job, self.number, attempts, self.store, self.ledger)
        scoring, scores = self._score(checkpoint, attempts)
        manifest = manifest_of(checkpoint, self.store)
        return build_evidence(self.job, self.number, checkpoint, manifest, attempts, scoring, scores)

    def settle(
        self,
        checkpoint: Cid,
        patience_seconds: float = CHAIN_PATIENCE_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> Settlement:
        """Submit the round's evidence and credit its nodes; raises as `evidence` and `settle_evidence` do."""
        return settle_evidence(self.job, self.evidence(checkpoint), self.store, self.ledger, patience_seconds, clock)

    def publish(self, checkpoint: Cid) -> None:
        """Register the round's checkpoint under the job's name; raises as `publish_model` does."""
        publish_model(self.job, self.number, checkpoint, self.ledger)

    def _score(self, checkpoint: Cid, attempts: Collection[Attempt]) -> tuple[ScoringMethod, dict[str, int]]:
        """How the round was scored, and the score of each aggregated update by shard, in thousandths.

        Leave-one-out needs the losses in the evaluation's receipt; a round whose evaluation lacks them is scored by
        alignment. The same content gives the same scores.
        """
        manifest = manifest_of(checkpoint, self.store)
        method = scoring_method(self.job, manifest)
        if method == "leave-one-out":
            done = next((one for one in completed(attempts) if one.slot == self.job.evaluation_slot), None)
            receipt = receipt_of(done.receipt_cid or Cid(""), self.store) if done else None
            scores = scores_by_losses(self.checkpoints_without(checkpoint), receipt)
            if scores is not None:
                return method, scores
            method = "alignment"
        shards = [update.shard for update in manifest.updates]
        if method == "alignment":
            return method, alignment_scores(shards, self._aggregation(manifest).geometry)
        return method, dict.fromkeys(shards, NEUTRAL)

    def _assigned_evaluation(self, base: Cid, checkpoint: Cid) -> TaskSpec | None:
        return assigned_evaluation((base, checkpoint), self.job.evaluation_slot, self.attempts, self.store)

    def _aggregation(self, manifest: RoundManifest) -> "RoundAggregation":
        from atlas.rounds.aggregation import RoundAggregation  # numpy, which most importers of this module do not need

        cid = manifest.cid
        if cid not in self._aggregations:
            self._aggregations[cid] = RoundAggregation(manifest, self.store)
        return self._aggregations[cid]
