"""The gates of a round: checks of each update on arrival, and of all updates together at the end."""

import math
from collections.abc import Iterable, Mapping
from functools import cached_property
from threading import Lock

import numpy as np

from atlas.aggregation.compression.registry import CODECS
from atlas.aggregation.files.adapter_files import AdapterFile
from atlas.aggregation.gates.gates import (
    FEWEST,
    Inspected,
    InspectedUpdate,
    Refusal,
    check_round,
    copy_refusal,
    growth_refusal,
    inspect_update,
    norm_refusal,
    reach_refusal,
)
from atlas.content.store import ContentStore
from atlas.documents.manifests import Checkpoint, Receipt, RoundManifest
from atlas.documents.stored import get_document
from atlas.errors import ContentError
from atlas.ids import Cid
from atlas.spec.job import TaskSpec
from atlas.training.reach import farthest, usual_reach
from resources.dispatch.outcomes import CompletedTask
from resources.jobs.opened import OpenJob
from resources.jobs.registry import Attempt, JobRegistry
from resources.rounds.evidence import receipt_of


class RoundGate:
    """Checks the updates of one round that starts from `base`. Thread-safe.

    Updates accepted earlier, by this or another process, are loaded from the registry.
    """

    def __init__(self, job: OpenJob, number: int, base: Cid, store: ContentStore, registry: JobRegistry) -> None:
        self._job, self._number, self._base = job, number, base
        self._store, self._registry = store, registry
        self._checkpoint = get_document(store, base, Checkpoint)
        self._base_adapter = store.fetch(self._checkpoint.adapter)
        self._settings = job.spec.aggregation.gates
        self._lock = Lock()
        self._known: dict[int, InspectedUpdate] = {}
        """The accepted updates of the round, by slot."""

    def __call__(self, task: TaskSpec, receipt: Receipt) -> Refusal | None:
        """Check an update on arrival; later updates are compared with it if it passes."""
        late = self._delivery(task.slot, receipt)
        if isinstance(late, Refusal):
            return late
        with self._lock:
            self._learn()
            refusal = self._norm_refusal(late, task.slot) or self._copy_refusal(late, task.slot)
            if refusal is None:
                self._known[task.slot] = late
        return refusal

    def check_all(self, completed: Iterable[CompletedTask]) -> dict[int, Refusal]:
        """Check a round's results together, including those that passed on arrival; return the refusals by slot."""
        refused: dict[int, Refusal] = {}
        passed: dict[int, Inspected] = {}
        for one in completed:
            found = self._inspect(one.task.slot, one.result)
            if isinstance(found, Refusal):
                refused[one.task.slot] = found
            else:
                passed[one.task.slot] = found
        return refused | self._too_long(passed)

    def _too_long(self, passed: Mapping[int, Inspected]) -> dict[int, Refusal]:
        if len(passed) < FEWEST:
            verdicts = {slot: self._growth_refusal(found) for slot, found in passed.items()}
            return {slot: verdict for slot, verdict in verdicts.items() if verdict is not None}
        slots = {self._shard(slot): slot for slot in passed}
        lengths = {shard: self._length(passed[slot]) for shard, slot in slots.items()}
        return {slots[shard]: verdict for shard, verdict in check_round(lengths, self._settings.largest_norm).items()}

    def _delivery(self, slot: int, receipt: Receipt) -> InspectedUpdate | Refusal:
        adapter = receipt.adapter or Cid("")
        found = self._inspect(slot, adapter)
        if isinstance(found, Refusal):
            return found
        return InspectedUpdate(
            self._shard(slot), receipt.node, receipt.data, adapter, self._store.fetch(adapter), found
        )

    def _inspect(self, slot: int, adapter: Cid) -> Inspected | Refusal:
        spec = self._job.spec
        frozen = spec.aggregation.method.frozen_factor(self._number)
        rank = spec.lora.rank_of(self._shard(slot))
        found = inspect_update(self._store.fetch(adapter), self._base_adapter, frozen, rank, self._base)
        if isinstance(found, Refusal):
            return found
        most = self._codec_factor * farthest(spec.training, found.size, self._base_length)
        return reach_refusal(found.norm, most) or found

    @property
    def _codec_factor(self) -> int:
        """How many times farther than training alone the job's codec can move an adapter.

        Rounding to a codec's steps at most doubles a number. Error feedback adds residuals of earlier rounds, each of
        which moved at most as far.
        """
        codec = CODECS.get(self._job.spec.aggregation.compression.codec)
        rounds = self._number if codec is not None and codec.error_feedback else 1
        return rounds * (2 if codec is not None else 1)

    @cached_property
    def _base_length(self) -> float:
        base = AdapterFile(self._base_adapter)
        return math.sqrt(sum(float(np.square(base.read(name), dtype=np.float64).sum()) for name in base.tensors))

    def _norm_refusal(self, late: InspectedUpdate, slot: int) -> Refusal | None:
        shards = len(self._job.dataset.shards)
        if shards < FEWEST:
            return self._growth_refusal(late.inspected)
        known = [self._length(one.inspected) for place, one in sorted(self._known.items()) if place != slot]
        return norm_refusal(
            self._length(late.inspected), [*self._before, *known], self._settings.largest_norm, expected=shards
        )

    def _growth_refusal(self, found: Inspected) -> Refusal | None:
        usual = self._codec_factor * usual_reach(self._job.spec.training, found.size, self._base_length)
        return growth_refusal(
            self._length(found), self._before, self._settings.largest_norm, self._comparable(usual, found.size)
        )

    def _copy_refusal(self, late: InspectedUpdate, slot: int) -> Refusal | None:
        earlier = [one for place, one in sorted(self._known.items()) if place != slot]
        return copy_refusal(late, earlier, self._base_adapter, self._settings.copy_cosine)

    def _learn(self) -> None:
        """Load the updates that the registry has as accepted and this gate has not seen."""
        for attempt in self._registry.attempts(self._job.round(self._number)):
            if _accepted(attempt) and attempt.slot < self._job.evaluation_slot:
                known = self._known.get(attempt.slot)
                if known is None or known.adapter != attempt.result_cid:
                    self._recall(attempt)

    def _recall(self, attempt: Attempt) -> None:
        try:
            found = self._delivery(attempt.slot, receipt_of(attempt.receipt_cid or Cid(""), self._store))
        except ContentError:
            return  # its bytes are gone: it will be trained again
        if not isinstance(found, Refusal):
            self._known[attempt.slot] = found

    @cached_property
    def _before(self) -> list[float]:
        """The lengths of the changes of the previous round, if it trained the same factors; otherwise empty."""
        method = self._job.spec.aggregation.method
        manifest = self._checkpoint.manifest
        if manifest is None or method.frozen_factor(self._number) != method.frozen_factor(self._number - 1):
            return []
        before = get_document(self._store, manifest, RoundManifest)
        gate = RoundGate(self._job, self._number - 1, before.base, self._store, self._registry)
        slots = {shard.key: slot for slot, shard in enumerate(self._job.dataset.shards)}
        found = [gate._inspect(slots[update.shard], update.adapter) for update in before.updates]
        return [self._length(one) for one in found if isinstance(one, Inspected)]

    def _length(self, found: Inspected) -> float:
        return self._comparable(found.norm, found.size)

    def _comparable(self, norm: float, numbers: int) -> float:
        """The length `norm` of `numbers` numbers, in the form that is compared: where ranks are mixed, per number."""
        return norm / math.sqrt(numbers) if self._job.spec.lora.shard_ranks else norm

    def _shard(self, slot: int) -> str:
        return self._job.dataset.shards[slot].key


def _accepted(attempt: Attempt) -> bool:
    return attempt.state == "completed" and attempt.gate is None
