"""A checkpoint against the records of its job: of the coordinator that opened it, and of the chain that paid it."""

import pytest
from whole_rounds import train_round

from atlas.documents.manifests import Checkpoint, RoundManifest
from atlas.documents.stored import get_document, put_document
from atlas.errors import VerificationError
from atlas.home import AtlasHome
from atlas.rounds.checkpoint import aggregate_round
from resources.rounds.settle import settle_round
from resources.rounds.verify import failed_check, verify_with_records


@pytest.fixture
async def ended(place, paper_spec, add_node, bus):
    """A job of one round that is on chain, and the checkpoint that it ended with."""
    job = place.open(paper_spec(rounds=1, aggregation={"quorum": 0.75, "robust": "none"}))
    await add_node()
    await add_node()
    checkpoint = await train_round(place, bus, job, 1)
    settle_round(job, 1, checkpoint, place.store, place.registry, place.ledger)
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
    assert results(found) == dict.fromkeys(["files", "rounds", "data set", "rows", "start", "chain"], "passed")
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
    assert found.unchecked == ["data set", "start", "chain"]
    found = verify_with_records(checkpoint, place.store, stranger, None, dataset=job.dataset_cid)
    assert found.unchecked == ["start", "chain"]


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
        assert failed.check == ("chain" if told.startswith("the chain") else "data set")
        assert None not in (failed.expected, failed.found)
        assert verify_with_records(forged, place.store, stranger, None).unchecked == ["data set", "start", "chain"]


async def test_a_data_set_that_the_record_does_not_name_is_refused(place, ended):
    job, checkpoint = ended
    other = put_document(place.store, job.dataset.model_copy(update={"shards": job.dataset.shards[:1]}))
    with pytest.raises(
        VerificationError, match=f"{job.dataset_cid} according to this coordinator's record, but {other} acc"
    ):
        verify_with_records(checkpoint, place.store, place.home, None, dataset=other)
