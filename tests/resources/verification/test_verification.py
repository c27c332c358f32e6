"""A checkpoint against the records of its job: of the coordinator that opened it, and of the chain that paid it."""

from dataclasses import replace

import pytest

from atlas.documents.manifests import Checkpoint, RoundManifest, SignedReceipt
from atlas.documents.stored import get_document, put_document
from atlas.errors import VerificationError
from atlas.home import AtlasHome
from atlas.rounds.checkpoint import aggregate_round
from atlas.signing import KeySigner
from atlas.verification.receipts import sign_receipt
from resources.jobs.job_record import look_on_chain
from resources.verification.receipts import KnownReceipts, verify_receipts
from resources.verification.verify import failed_check, verify_with_records
from tests.support.jobs.whole_rounds import train_round


@pytest.fixture
async def ended(place, paper_spec, add_node, bus):
    """A job of one round that is on chain, and the checkpoint that it ended with."""
    job = place.open(paper_spec(rounds=1, aggregation={"quorum": 0.75, "robust": "none"}))
    await add_node()
    await add_node()
    checkpoint = await train_round(place, bus, job, 1)
    place.round(job).settle(checkpoint)
    return job, checkpoint


def results(found):
    return {one.check: one.result for one in found.checks}


def forge(place, checkpoint: str, keep: int = 4, **changes) -> str:
    """A checkpoint that follows from the round's manifest with fewer updates, or with a changed last one."""
    manifest = get_document(place.store, get_document(place.store, checkpoint, Checkpoint).manifest, RoundManifest)
    *others, last = manifest.updates[:keep]
    forged = manifest.model_copy(update={"updates": [*others, last.model_copy(update=changes)]})
    return aggregate_round(forged, place.store)[0]


async def test_everything_is_compared_where_the_job_was_opened_and_its_chain_answers(place, ended, tmp_path):
    _, checkpoint = ended
    found = verify_with_records(checkpoint, place.store, place.home, place.addresses.network)
    checks = ["files", "rounds", "dataset", "rows", "start", "chain", "receipts"]
    assert results(found) == dict.fromkeys(checks, "passed")
    assert "4 of 4 receipts verified" in found.checks[-1].text
    assert found.unchecked == []

    stranger = AtlasHome(tmp_path / "stranger")
    found = verify_with_records(checkpoint, place.store, stranger, place.addresses.network)
    assert found.unchecked == ["start"]
    assert not stranger.jobs_database.exists()


async def test_what_could_not_be_compared_is_said(place, ended, tmp_path):
    job, checkpoint = ended
    found = verify_with_records(checkpoint, place.store, place.home, None)
    assert found.unchecked == ["chain"]
    stranger = AtlasHome(tmp_path / "stranger")
    found = verify_with_records(checkpoint, place.store, stranger, None)
    assert found.unchecked == ["dataset", "start", "chain", "receipts"]
    found = verify_with_records(checkpoint, place.store, stranger, None, dataset=job.dataset_cid)
    assert found.unchecked == ["start", "chain", "receipts"]


async def test_forged_rounds_are_refused_with_a_record_of_the_job(place, ended, tmp_path):
    job, checkpoint = ended
    first = job.dataset.shards[0].cid
    forgeries = {
        "s003: the rows": forge(place, checkpoint, data=first, weight=job.dataset.shards[0].weight),
        "2 of 4 shards have an update": forge(place, checkpoint, keep=2),
        "s009: ": forge(place, checkpoint, shard="s009"),
        "the chain has checkpoint": forge(place, checkpoint, keep=3),
    }
    stranger = AtlasHome(tmp_path / "stranger")
    for told, forged in forgeries.items():
        with pytest.raises(VerificationError, match=told) as refused:
            verify_with_records(forged, place.store, place.home, place.addresses.network)
        failed = failed_check(refused.value)
        assert failed.check == ("chain" if told.startswith("the chain") else "dataset")
        assert None not in (failed.expected, failed.found)
        unchecked = ["dataset", "start", "chain", "receipts"]
        assert verify_with_records(forged, place.store, stranger, None).unchecked == unchecked


async def test_a_data_set_that_the_record_does_not_name_is_refused(place, ended):
    job, checkpoint = ended
    other = put_document(place.store, job.dataset.model_copy(update={"shards": job.dataset.shards[:1]}))
    with pytest.raises(
        VerificationError, match=f"{job.dataset_cid} according to this coordinator's record, but {other} acc"
    ):
        verify_with_records(checkpoint, place.store, place.home, None, dataset=other)


def receipt_of(place, job, slot: int) -> tuple[str, SignedReceipt]:
    (attempt,) = [one for one in place.registry.attempts(job.round(1)) if one.slot == slot]
    return attempt.receipt_cid, get_document(place.store, attempt.receipt_cid, SignedReceipt)


@pytest.mark.parametrize("asked", [True, False])
async def test_a_changed_byte_in_a_receipt_is_found(place, ended, asked):
    job, checkpoint = ended
    cid, _ = receipt_of(place, job, 2)
    path = place.store.fetch(cid)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b'"steps":', b'"stepz":'))
    with pytest.raises(VerificationError, match=f"Round 1, s002: .*{cid} is corrupt") as refused:
        verify_with_records(checkpoint, place.store, place.home, place.addresses.network if asked else None)
    failed = failed_check(refused.value)
    assert (failed.check, failed.expected) == ("receipts", cid)


@pytest.mark.parametrize("asked", [True, False])
async def test_receipts_that_are_not_here_are_counted(place, ended, asked):
    job, checkpoint = ended
    network = place.addresses.network if asked else None
    place.store.remove(receipt_of(place, job, 1)[0], unused_since=4e9)
    place.store.remove(receipt_of(place, job, 3)[1].receipt.task, unused_since=4e9)
    found = verify_with_records(checkpoint, place.store, place.home, network)
    assert "receipts" in found.unchecked
    assert found.checks[-1].text.startswith("2 of 4 receipts verified; 2 not in this home.")


async def test_a_receipt_that_is_not_that_of_its_update_is_refused(place, ended):
    job, checkpoint = ended
    (cid, signed), (other, _) = receipt_of(place, job, 0), receipt_of(place, job, 1)
    signer = KeySigner(b"\1" * 32, "atlas")
    update = signed.receipt.adapter
    forgeries = {
        "does not fit the message": signed.model_copy(update={"signature": signed.signature[:-2] + "00"}),
        "belongs to atlas1": signed.model_copy(update={"public_key": signer.public_key.hex()}),
        f"names the update {cid}": sign_receipt(
            signed.receipt.model_copy(update={"adapter": cid, "node": signer.address}), signer
        ),
        "has base": sign_receipt(signed.receipt.model_copy(update={"base": cid, "node": signer.address}), signer),
        "whose shard is s001, expected s000": get_document(place.store, other, SignedReceipt),
    }
    for told, forged in forgeries.items():
        place.registry.record_completed(job.round(1), 0, 1, put_document(place.store, forged), update)
        with pytest.raises(VerificationError, match=f"Round 1, s000: .*{told}") as refused:
            verify_with_records(checkpoint, place.store, place.home, None)
        assert failed_check(refused.value).check == "receipts"
    assert "receipts" not in verify_with_records(checkpoint, place.store, place.home, place.addresses.network).unchecked


async def test_a_receipt_is_signed_by_the_owner_of_the_node_on_chain(place, ended):
    job, checkpoint = ended
    row = place.registry.job(job.name)
    chain = look_on_chain(job.spec_cid, checkpoint, row, place.addresses.network)
    moved = replace(chain, owners=dict.fromkeys(chain.owners, place.operator.address))
    known = KnownReceipts(place.store, row, place.registry, job.dataset, moved)
    with pytest.raises(VerificationError, match=f"has node atlas1.*, expected {place.operator.address}"):
        verify_receipts([checkpoint], known)
