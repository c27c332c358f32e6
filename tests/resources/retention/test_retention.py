"""What must stay, stays, whatever the settings; what was promised can still be followed; the rest goes."""

import os
import shutil
from functools import partial
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atlas.content.format.cid import cid_of_bytes
from atlas.content.local.store import LocalStore
from atlas.content.places.collect import PeekStore, collect, peek
from atlas.documents.manifests import Checkpoint, DatasetManifest, RoundEvidence, SignedReceipt
from atlas.documents.stored import get_document, put_document
from atlas.errors import ContentError, ContentNotFound, SpecError
from atlas.home import AtlasHome
from atlas.verification.checkpoint import verify_checkpoint
from chain_bridge.client.messages import RegisteredModel
from chain_bridge.errors import ChainUnreachable
from node_agent.presence.machine import NodeManifest
from resources.jobs.registry import JobRegistry
from resources.retention.content_survey import ChainFacts, ask_chain, survey, why_held
from resources.retention.missing_content import Completeness, find_missing
from resources.retention.retention import JobRetention, RetentionSettings, Survey, read_retention
from tests.support.jobs.finished_job import CONTRACT, FinishedJob, Maker, files_of

LATER = 4e9
GARBAGE = [b"of nobody", b'{"kind":"round","of":"nobody"}', b"", b'{"kind":"checkpoint"']


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, list[FinishedJob]]:
    """A home with the job `first` of three rounds and `second` of two, on the same rows; and content of nobody."""
    home = AtlasHome(tmp_path_factory.mktemp("finished"))
    maker = Maker(LocalStore(home.content), JobRegistry(home.jobs_database))
    jobs = [maker.job("first", 1, rounds=3, outer="adam"), maker.job("second", 2, rounds=2, strategy="stack")]
    for data in GARBAGE:
        maker.store.put(data)
    return home.root, jobs


@pytest.fixture
def home(finished, tmp_path) -> AtlasHome:
    return copy_of(finished[0], tmp_path / "copy")


@pytest.fixture
def first(finished) -> FinishedJob:
    return finished[1][0]


def copy_of(root: Path, target: Path) -> AtlasHome:
    shutil.rmtree(target, ignore_errors=True)
    return AtlasHome(Path(shutil.copytree(root, target)))


def facts(jobs: list[FinishedJob], states: list[str], **changes) -> ChainFacts:
    """The chain as it would have these jobs; a state may be `reserved`, `unsettled` or `disputed`, too."""
    on_chain, rounds = {}, {}
    for job, state in zip(jobs, states, strict=True):
        number, submitted = job.row.job_id, list(job.rounds)
        named = state if state in ("open", "cancelled", "closed") else "cancelled"
        on_chain[number] = job.on_chain(named, reserved=1 if state == "reserved" else 0)
        if state == "unsettled":
            submitted[-1] = submitted[-1].model_copy(update={"settled_at": None})
        if state == "disputed":
            submitted[0] = submitted[0].model_copy(update={"open_challenges": 1})
        rounds[number] = submitted
    known = {"contract": CONTRACT, "jobs": on_chain, "rounds": rounds, "models": [], "node_manifests": []}
    return ChainFacts(**{**known, **changes})


def look(home: AtlasHome, chain: ChainFacts | None) -> tuple[LocalStore, Survey]:
    store = LocalStore(home.content)
    return store, survey(store, partial(peek, home.content), JobRegistry(home.jobs_database), chain)


def lacking(home: AtlasHome, chain: ChainFacts | None) -> Completeness:
    store, registry = PeekStore(home.content), JobRegistry(home.jobs_database)
    return find_missing(store, registry, chain, RetentionSettings())


def here(store: LocalStore) -> set[str]:
    return {one.cid for one in store.held()}


STATES = st.sampled_from(["open", "cancelled", "closed", "reserved", "unsettled", "disputed"])


@pytest.mark.slow
@given(
    states=st.lists(STATES, min_size=2, max_size=2),
    silent=st.booleans(),
    keep_rounds=st.integers(1, 5),
    keep_updates=st.booleans(),
    own=st.none() | st.builds(JobRetention, keep_rounds=st.integers(1, 4), keep_updates=st.booleans()),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_needed_stays_and_what_was_promised_can_be_followed(
    finished, tmp_path, states, silent, keep_rounds, keep_updates, own
):
    root, jobs = finished
    chosen = RetentionSettings(
        keep_rounds=keep_rounds, keep_updates=keep_updates, unused_hours=0, jobs={"first": own} if own else {}
    )
    store, found = look(copy_of(root, tmp_path / "copy"), None if silent else facts(jobs, states))
    collect(store, found.needed(chosen), unused_since=LATER)
    left = here(store)
    over = [job for job, state in zip(jobs, states, strict=True) if state in ("cancelled", "closed") and not silent]
    for job in jobs:
        if job not in over:
            assert job.all() <= left
            assert verify_checkpoint(job.checkpoints[-1], store)
            continue
        assert job.cids["order"] | job.cids["record"] <= left
        newest, updates = chosen.of(job.row.name)
        for checkpoint in job.checkpoints[-newest:]:
            assert files_of(get_document(store, checkpoint, Checkpoint)) <= left
        if updates:
            assert len(verify_checkpoint(job.checkpoints[-1], store)) == len(job.checkpoints)
    if len(over) == 2:
        assert not left & set().union(*(job.cids["passing"] for job in jobs))
        if not any(chosen.of(job.row.name)[1] for job in jobs):
            assert not left & set().union(*(job.cids["data"] | job.cids["update"] for job in jobs))
    assert not left & {cid_of_bytes(data) for data in GARBAGE}


def test_without_updates_the_older_checkpoints_go_and_the_proof_of_payment_stays(home, finished, first):
    store, found = look(home, facts(finished[1], ["closed", "closed"]))
    collect(store, found.needed(RetentionSettings(keep_rounds=1, keep_updates=False)), unused_since=LATER)
    assert first.cids["weights of round 3"] <= here(store)
    assert not here(store) & (first.cids["weights of round 2"] | first.cids["weights of round 0"])
    for one in first.rounds:
        evidence = get_document(store, one.evidence, RoundEvidence)
        assert all(get_document(store, record.receipt, SignedReceipt) for record in evidence.records)
    with pytest.raises(ContentNotFound):
        verify_checkpoint(first.checkpoints[-1], store)


def test_a_collection_changes_nothing_for_the_next_one(home, finished):
    chosen, chain = RetentionSettings(keep_rounds=1, keep_updates=False), facts(finished[1], ["closed", "open"])
    store, found = look(home, chain)
    assert collect(store, found.needed(chosen), unused_since=LATER).removed
    store, again = look(home, chain)
    assert collect(store, again.needed(chosen), unused_since=LATER).removed == ()


def test_looking_does_not_make_what_may_go_look_used(home, finished):
    for path in home.content.glob("??/b*"):
        os.utime(path, (1000, 1000))
    store, found = look(home, facts(finished[1], ["closed", "closed"]))
    removed = {one.cid for one in collect(store, found.needed(RetentionSettings()), unused_since=2000).removed}
    assert {cid_of_bytes(data) for data in GARBAGE} <= removed


def test_a_receipt_that_no_run_has_taken_in_is_known_by_its_task(home, finished, first):
    registry = JobRegistry(home.jobs_database)
    task = registry.attempts(first.row.round(1))[0].task_cid
    store, before = LocalStore(home.content), None
    signed = next(signed for cid in first.cids["record"] if (signed := _receipt(store, cid)) and signed.receipt.adapter)
    update = store.put(b"an update that is on its way")
    late = signed.model_copy(update={"receipt": signed.receipt.model_copy(update={"task": task, "adapter": update})})
    cid = put_document(store, late)
    for chain, stays in ((facts(finished[1], ["open", "open"]), True), (facts(finished[1], ["closed", "open"]), False)):
        before = look(home, chain)[1].needed(RetentionSettings())
        assert (update in before) is stays
        assert cid in before


def _receipt(store: LocalStore, cid: str) -> SignedReceipt | None:
    try:
        return get_document(store, cid, SignedReceipt)
    except SpecError:
        return None


def test_promoted_models_and_those_of_another_name_stay(home, finished, first):
    def model(name: str, version: int, status: str) -> RegisteredModel:
        cid = first.checkpoints[version]
        return RegisteredModel(name=name, version=version, cid=cid, job=1, parent=None, metrics=None, status=status)

    models = [model("first", 1, "promoted"), model("best", 2, "registered"), model("first", 3, "registered")]
    chain = facts(finished[1], ["closed", "closed"], models=models)
    needed = look(home, chain)[1].needed(RetentionSettings(keep_rounds=1, keep_updates=False))
    assert str(needed[first.checkpoints[1]]) == "model first 1 is promoted: checkpoint"
    assert first.cids["weights of round 1"] | first.cids["weights of round 2"] <= needed.keys()
    assert not first.cids["weights of round 0"] & needed.keys()


def test_what_nodes_say_of_themselves_stays(home, finished):
    store = LocalStore(home.content)
    data = store.put(b"what a node says of rows that stay with it")
    manifest = NodeManifest(
        address="a", version="1", platform="x", cpu="x", cores=1, memory_bytes=1, gpus=[], slots=1, datasets=[data]
    )
    cid = put_document(store, manifest)
    absent = cid_of_bytes(b"of a node whose store is elsewhere")
    chain = facts(finished[1], ["open", "open"], node_manifests=[cid, absent])
    assert {cid, data} <= look(home, chain)[1].needed(RetentionSettings()).keys()


def test_uses_are_told_in_words(home, finished, first):
    found = look(home, facts(finished[1], ["open", "closed"]))[1]
    shard = min(first.cids["data"])
    assert "first, shard s00" in found.uses(shard) and "second, shard s00" in found.uses(shard)
    assert found.uses(first.checkpoints[2]) == "first, round 2, checkpoint"
    assert found.uses(cid_of_bytes(b"of nobody")) == ""
    assert str(found.needed(RetentionSettings())[first.row.spec_cid]) == "job first is open: spec"


@pytest.mark.parametrize("gone", ["spec_cid", "dataset_cid", "genesis_cid"])
def test_nothing_is_decided_while_a_job_cannot_be_read(home, finished, first, gone):
    LocalStore(home.content).remove(getattr(first.row, gone), LATER)
    with pytest.raises(ContentError, match="The content that job 'first' needs is not known"):
        look(home, facts(finished[1], ["open", "open"]))


def test_a_job_whose_content_is_elsewhere_is_passed_over(home, finished, first):
    store = LocalStore(home.content)
    for cid in (first.row.spec_cid, first.row.genesis_cid):
        store.remove(cid, LATER)
    assert [job.name for job in look(home, None)[1].jobs] == ["second"]


def test_why_a_job_is_held(finished, first):
    def why(state: str) -> str | None:
        return why_held(first.row, facts(finished[1], [state, "open"]))

    assert why("closed") is why("cancelled") is None
    assert why("open") == "is open"
    assert why("unsettled") == "is cancelled, but its round 3 is not settled"
    assert why("disputed") == "is cancelled, but its round 1 is not settled"
    assert why("reserved") == "is cancelled, but a round of it is not paid"
    assert why_held(first.row, None) == "may be open: the chain does not answer"
    assert "which was not queried" in why_held(first.row, facts(finished[1], ["closed", "open"], contract="another"))


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize(
    "what", ["held-out rows", "shard", "task", "receipt", "manifest", "update", "checkpoint", "adapter", "last adapter"]
)
def test_content_that_a_job_needs_is_missed(home, finished, first, what, asked):
    chain, store = facts(finished[1], ["open", "closed"]) if asked else None, LocalStore(home.content)
    assert lacking(home, chain) == Completeness({}, ())
    attempt = JobRegistry(home.jobs_database).attempts(first.row.round(2))[0]
    second = get_document(store, first.checkpoints[2], Checkpoint)
    gone = {
        "held-out rows": get_document(store, first.row.dataset_cid, DatasetManifest).holdout.cid,
        "shard": min(first.cids["data"]),
        "task": attempt.task_cid,
        "receipt": attempt.receipt_cid,
        "manifest": second.manifest,
        "update": attempt.result_cid,
        "checkpoint": first.checkpoints[2],
        "adapter": second.adapter,
        "last adapter": get_document(store, first.checkpoints[3], Checkpoint).adapter,
    }[what]
    store.remove(gone, LATER)
    before = list(store.held())
    found = lacking(home, chain).missing
    assert found.keys() == {gone}
    assert str(found[gone]).startswith("job first is open: " if asked else "job first may be open: ")
    assert what.split()[-1] in str(found[gone]).split(": ")[-1]
    assert list(store.held()) == before


def test_evidence_is_missed_if_the_chain_answers(home, finished, first):
    evidence = first.rounds[1].evidence
    LocalStore(home.content).remove(evidence, LATER)
    assert lacking(home, None).missing == {}
    found = lacking(home, facts(finished[1], ["open", "open"])).missing
    assert {cid: str(reason) for cid, reason in found.items()} == {evidence: "job first is open: round 2, evidence"}


def test_what_nodes_upload_is_not_missed(home, finished, first):
    store = LocalStore(home.content)
    uploads = [
        cid for cid in first.cids["passing"] if (peek(home.content, cid) or b"").startswith((b"encoded", b"training"))
    ]
    for cid in uploads:
        store.remove(cid, LATER)
    assert len(uploads) == 12
    assert lacking(home, None).missing == {}


def test_what_a_collection_removed_is_not_missed_until_another_job_needs_it(home, finished, first):
    chain, store = facts(finished[1], ["closed", "closed"]), LocalStore(home.content)
    registry = JobRegistry(home.jobs_database)
    _, found = look(home, chain)
    dropped = found.needed(RetentionSettings(keep_updates=False, keep_rounds=1))
    going = {one.cid for one in collect(store, dropped, unused_since=LATER, dry_run=True).removed}
    registry.record_removed(found.users(going))
    collect(store, dropped, unused_since=LATER)
    assert lacking(home, chain).missing == lacking(home, None).missing == {}

    third = Maker(store, registry).job("third", 3, rounds=1)
    assert lacking(home, None).missing == {}
    shard = min(third.cids["data"] & first.cids["data"])
    store.remove(shard, LATER)
    found = lacking(home, None).missing
    assert found.keys() == {shard}
    assert str(found[shard]).startswith("job third may be open: the chain does not answer: shard s00")


@pytest.mark.parametrize(("field", "what"), [("spec_cid", "spec"), ("genesis_cid", "untrained checkpoint")])
def test_a_job_that_cannot_be_read_is_named_and_the_others_are_checked(home, finished, first, field, what):
    store, gone = LocalStore(home.content), getattr(first.row, field)
    update = min(finished[1][1].cids["update"])
    for cid in (gone, update):
        store.remove(cid, LATER)
    found = lacking(home, None)
    assert found.missing.keys() == {gone, update}
    assert str(found.missing[gone]) == f"job first: {what}"
    assert found.unchecked == ("other content of job first: a document that defines it cannot be read",)


def test_a_job_without_any_content_here_is_elsewhere_unless_its_chain_answers(home, finished, first):
    store = LocalStore(home.content)
    for cid in (first.row.spec_cid, first.row.genesis_cid):
        store.remove(cid, LATER)
    found = lacking(home, None)
    assert (found.missing, len(found.unchecked)) == ({}, 1)
    assert "content of job first: its spec and untrained checkpoint" in found.unchecked[0]
    found = lacking(home, facts(finished[1], ["open", "open"]))
    assert found.missing.keys() == {first.row.spec_cid, first.row.genesis_cid}


def test_a_silent_chain_says_nothing(home):
    class Silent:
        @property
        def contract(self):
            raise ChainUnreachable("no answer")

    assert ask_chain(Silent(), JobRegistry(home.jobs_database)) is None


def test_settings_come_from_a_file(tmp_path):
    path = tmp_path / "retention.yaml"
    assert read_retention(path) == RetentionSettings(keep_rounds=3, keep_updates=True, unused_hours=24)
    path.write_text(yaml.safe_dump({"keep_updates": False, "jobs": {"demo": {"keep_rounds": 9, "keep_updates": True}}}))
    found = read_retention(path)
    assert found.of("demo") == (9, True)
    assert found.of("another") == (3, False)
    path.write_text("keep_rounds: 0")
    with pytest.raises(SpecError, match="keep_rounds"):
        read_retention(path)
