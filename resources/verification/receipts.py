"""Verifies the signed receipts of the updates that a job's rounds aggregated. Blocking."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from atlas.content.store import ContentStore
from atlas.documents.document import Document
from atlas.documents.manifests import (
    AcceptedUpdate,
    Checkpoint,
    DatasetManifest,
    RoundEvidence,
    RoundManifest,
    SignedReceipt,
)
from atlas.documents.stored import get_document
from atlas.errors import ContentError, ContentNotFound, ContentUnreachable, SpecError, VerificationError
from atlas.ids import Cid, NodeId
from atlas.spec.job import JobSpec, TaskSpec
from atlas.verification.evidence import evidence_root
from atlas.verification.receipts import verify_update_receipt
from resources.jobs.job_record import OnChain, Unasked
from resources.jobs.registry import JobRegistry, JobRow

CHECK = "receipts"
"""The name of this check in `atlas verify`."""
Kind = TypeVar("Kind", bound=Document)


@dataclass(frozen=True)
class ReceiptCount:
    """How many updates of all rounds have a verified receipt."""

    updates: int
    verified: int


@dataclass(frozen=True)
class NamedReceipt:
    """A receipt as a record names it."""

    cid: Cid
    result: Cid
    """CID of the update."""
    node_id: NodeId


@dataclass(frozen=True)
class KnownReceipts:
    """Where receipts are named: in the evidence of rounds on chain, and in this coordinator's record of its job."""

    store: ContentStore
    row: JobRow | None
    registry: JobRegistry | None
    dataset: DatasetManifest | None
    chain: OnChain | Unasked

    def of_round(self, number: int) -> Mapping[str, NamedReceipt]:
        """The receipts of a round, by shard: those in its evidence if that can be read, else those on record here.

        Raises `VerificationError` if the evidence does not have the Merkle root on chain.
        """
        evidence = self._evidence(number)
        if evidence is not None:
            return {
                one.shard: NamedReceipt(one.receipt, one.result, one.node_id) for one in evidence.records if one.shard
            }
        if self.row is None or self.registry is None or self.dataset is None:
            return {}
        shards = self.dataset.shards
        return {
            shards[one.slot].key: NamedReceipt(one.receipt_cid, one.result_cid, one.node_id)
            for one in self.registry.attempts(self.row.round(number))
            if one.state == "completed" and one.receipt_cid and one.result_cid and one.slot < len(shards)
        }

    def address(self, node_id: NodeId) -> str | None:
        """The address of a node on chain; None if the chain was not asked."""
        return self.chain.owners.get(node_id) if isinstance(self.chain, OnChain) else None

    def _evidence(self, number: int) -> RoundEvidence | None:
        ended = self.chain.rounds.get(number) if isinstance(self.chain, OnChain) else None
        found = _read(self.store, ended.evidence, RoundEvidence) if ended else None
        if ended is None or found is None:
            return None
        if (root := evidence_root(found)) != ended.root:
            raise VerificationError(
                f"Round {number}: the evidence {ended.evidence} has the Merkle root {root.hex()}, but the chain has "
                f"{ended.root.hex()}.",
                CHECK,
                expected=ended.root.hex(),
                found=root.hex(),
            )
        return found


def verify_receipts(checkpoints: Iterable[Cid], known: KnownReceipts) -> ReceiptCount:
    """Verify the receipt of each update of these rounds, if it and its task can be read.

    Raises `VerificationError` for a receipt that is corrupt, that its node did not sign, or that differs from the
    round manifest.
    """
    store, updates, verified = known.store, 0, 0
    for cid in checkpoints:
        manifest = get_document(store, get_document(store, cid, Checkpoint).manifest or Cid(""), RoundManifest)
        codec = get_document(store, manifest.job, JobSpec).aggregation.compression.codec
        named = known.of_round(manifest.round)
        for update in manifest.updates:
            try:
                verified += _verify(update, manifest, named, known, codec)
            except (ContentError, SpecError, VerificationError) as error:
                compared = (error.expected, error.found) if not isinstance(error, SpecError) else (None, None)
                raise VerificationError(
                    f"Round {manifest.round}, {update.shard}: {error}", CHECK, expected=compared[0], found=compared[1]
                ) from error
        updates += len(manifest.updates)
    return ReceiptCount(updates, verified)


def _verify(
    update: AcceptedUpdate, manifest: RoundManifest, named: Mapping[str, NamedReceipt], known: KnownReceipts, codec: str
) -> bool:
    """Whether the update's receipt was verified; False if it or its task cannot be read."""
    one = named.get(update.shard)
    if one is None:
        return False
    if one.result != update.adapter:
        raise VerificationError(
            f"The record of the round has the update {one.result}, but the round manifest lists {update.adapter}.",
            expected=one.result,
            found=update.adapter,
        )
    signed = _read(known.store, one.cid, SignedReceipt)
    task = _read(known.store, signed.receipt.task, TaskSpec) if signed else None
    if signed is None or task is None:
        return False
    address = known.address(one.node_id) or signed.receipt.node
    verify_update_receipt(signed, task, update, manifest, address, codec)
    return True


def _read(store: ContentStore, cid: Cid, kind: type[Kind]) -> Kind | None:
    """A document, or None if no place has it."""
    try:
        return get_document(store, cid, kind)
    except (ContentNotFound, ContentUnreachable):
        return None
