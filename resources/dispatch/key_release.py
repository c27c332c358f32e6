"""Release the key of a sealed shard only to the node that holds the lease of its task on chain."""

import logging

from atlas.content.sealed.wrapping import KeyContext, wrap_key
from atlas.content.store import ContentStore
from atlas.documents.manifests import ShardManifest
from atlas.errors import AtlasError
from atlas.ids import JobId
from atlas.signing import address_of
from atlas.spec.job import TaskSpec
from chain_bridge.client.messages import Lease
from chain_bridge.ledger import Ledger
from node_agent.wire.messages import KeyAnswer, KeyRequest
from resources.dispatch.leased_tasks import LeasedTask, PlanReader
from resources.errors import CoordinatorError
from resources.jobs.opened import OpenJob
from resources.keys.key_journal import KeyJournal, KeyRecipient
from resources.keys.keyring import KeyRings

log = logging.getLogger(__name__)


class NotEntitled(CoordinatorError):
    """A key request is refused; the reason contains only what is public on chain."""


class KeyRelease:
    """Answers the key requests of one round of a job with sealed data.

    The chain and the key ring are read for each answer.
    """

    def __init__(
        self,
        job: OpenJob,
        number: int,
        ledger: Ledger,
        store: ContentStore,
        rings: KeyRings,
        name: str,
        journal: KeyJournal,
    ) -> None:
        """`name` is the name of the job's key ring."""
        self._job = job
        self._ref = job.round(number)
        self._ledger = ledger
        self._store = store
        self._rings = rings
        self._name = name
        self._journal = journal

    def revoked(self) -> list[str]:
        """The addresses that are revoked now; raises `KeyRingError`. Blocks."""
        return self._rings.get(self._name).revoked

    def answer(self, sender: str, request: KeyRequest) -> KeyAnswer:
        """The key of the file that the sender's task trains on, wrapped for the sender, or a refusal. Blocks.

        `sender` has signed the request.
        """
        where = _place(request, self._ref.job_id)
        try:
            leased = self._entitled(sender, request)
            ring = self._rings.get(self._name)
            if sender in ring.revoked:
                raise NotEntitled(f"{sender} is revoked and gets no keys. Ask the operator of the job.")
            key = ring.file_key(self._store.fetch(leased.task.data))
            wrapped = wrap_key(key, bytes.fromhex(request.public_key), KeyContext.of(leased.task))
            self._journal.note(self._recipient(sender, leased.task))
        except NotEntitled as refusal:
            log.warning("no key for %s, %s: %s", sender, where, refusal)
            return KeyAnswer(refused=str(refusal))
        except AtlasError as error:
            log.warning("cannot decide on the key for %s, %s: %s", sender, where, error)
            return KeyAnswer(refused="the coordinator could not check the request; ask again later", later=True)
        log.info("sent the key of %s to %s, %s", leased.task.data, sender, where)
        return KeyAnswer(ephemeral=wrapped.ephemeral.hex(), box=wrapped.box.hex())

    def _entitled(self, sender: str, request: KeyRequest) -> LeasedTask:
        """The task that the sender holds and asks for; raises `NotEntitled`, `ChainError`."""
        if address_of(bytes.fromhex(request.public_key), sender.rpartition("1")[0]) != sender:
            raise NotEntitled(f"The public key {request.public_key} is not that of {sender}.")
        lease = self._ledger.lease(self._ref.job_id, self._ref.round, request.slot)
        held = self._held(sender, request, lease)
        leased = PlanReader(self._ref, self._store).task(held)
        if leased is None or (leased.cid, leased.task.task_id) != (request.task, request.task_id):
            raise NotEntitled(f"The lease of slot {request.slot} is not for the task {request.task}.")
        data = self._data(request.slot)
        if data is None or (leased.task.data, leased.task.form, data.form) != (data.cid, "sealed", "sealed"):
            raise NotEntitled(f"The task {request.task} does not use sealed data of this job.")
        return leased

    def _held(self, sender: str, request: KeyRequest, lease: Lease | None) -> Lease:
        """The live lease of the sender for this attempt."""
        what = _place(request, self._ref.job_id)
        if lease is None or not lease.live or (lease.round, lease.attempt) != (request.round, request.attempt):
            raise NotEntitled(f"The chain has no live lease of {what}.")
        if self._ledger.node(lease.node).owner != sender:
            raise NotEntitled(f"The lease of {what} is not held by {sender}.")
        return lease

    def _recipient(self, sender: str, task: TaskSpec) -> KeyRecipient:
        return KeyRecipient(
            ring=self._name,
            address=sender,
            contract=task.contract,
            job_id=task.job_id,
            job=self._job.name,
            round=task.round,
            attempt=task.attempt,
            data=task.shard or self._job.dataset.holdout.key,
            file=task.data,
        )

    def _data(self, slot: int) -> ShardManifest | None:
        """The data of the tasks in a slot: a shard or the held-out rows; None for a slot that does not exist."""
        dataset = self._job.dataset
        if slot == self._job.evaluation_slot:
            return dataset.holdout
        return dataset.shards[slot] if slot < len(dataset.shards) else None


def _place(request: KeyRequest, job_id: JobId) -> str:
    return f"slot {request.slot}, attempt {request.attempt} in round {request.round} of job {job_id}"
