"""A job is checked whole before the chain hears of it, and opened once however often that is tried."""

import pytest

from atlas.content.store import get_document
from atlas.errors import DataError, SpecError
from atlas.manifests import Checkpoint, DatasetManifest, ModelManifest
from atlas.spec import JobSpec
from chain_bridge.errors import InsufficientFunds
from chain_bridge.keys import load_or_create_key
from chain_bridge.ledger import Ledger
from resources.errors import BudgetError, ChainReset, JobNotFound
from resources.jobs import JobRegistry
from resources.opening import load_job, open_job, read_dataset


def test_a_job_is_on_chain_with_its_documents_in_the_store(place, paper_spec):
    told = []
    spec = paper_spec()
    job = open_job(spec, place.home, place.store, place.registry, place.ledger, told.append)
    on_chain = place.ledger.job(job.job_id)
    assert (on_chain.spec, on_chain.dataset, on_chain.shards) == (spec.cid, job.dataset.cid, 4)
    assert (on_chain.deposited, on_chain.reward, on_chain.rounds) == (1_000_000, 100_000, 2)
    assert get_document(place.store, job.spec_cid, JobSpec) == spec
    assert get_document(place.store, job.dataset_cid, DatasetManifest) == job.dataset
    assert get_document(place.store, job.model_cid, ModelManifest).source == spec.model.source
    assert get_document(place.store, job.genesis, Checkpoint) == Checkpoint(
        job=spec.cid, round=0, adapter=None, parent=None, manifest=None
    )
    assert any("rows" in text for text in told)
    assert read_dataset(spec, place.home, place.store) == job.dataset


def test_opening_again_changes_nothing(place, paper_spec):
    first = place.open(paper_spec())
    balance = place.ledger.balance(place.operator.address)
    assert place.open(paper_spec()) == first
    assert load_job("paper", place.store, place.registry, place.ledger.contract) == first
    assert place.ledger.balance(place.operator.address) == balance


def test_a_job_that_is_on_chain_but_not_in_the_registry_is_adopted(place, paper_spec, tmp_path):
    first = place.open(paper_spec())
    forgotten = JobRegistry(tmp_path / "other" / "coordinator.db")
    again = open_job(paper_spec(), place.home, place.store, forgotten, place.ledger)
    assert again == first
    assert len(place.ledger.jobs()) == 1


def test_a_taken_name_is_refused_with_both_cids(place, paper_spec):
    first = place.open(paper_spec())
    other = paper_spec(rounds=1)
    with pytest.raises(SpecError) as caught:
        place.open(other)
    assert first.spec_cid in str(caught.value)
    assert other.cid in str(caught.value)
    assert "another name" in str(caught.value)


def test_a_budget_below_the_promise_is_refused_with_both_numbers(place, paper_spec):
    with pytest.raises(BudgetError, match=r"is 999999, .* cost 1000000\. Raise payment\.budget to 1000000"):
        place.open(paper_spec(payment={"budget": 999_999, "reward_per_task": 100_000}))
    assert place.ledger.jobs() == []
    assert place.registry.jobs() == []


def test_an_operator_who_cannot_pay_is_told_how_much_is_missing(place, paper_spec, tmp_path):
    poor = load_or_create_key(tmp_path / "poor" / "operator.key", "atlas")
    with Ledger(place.addresses.network, poor) as ledger, pytest.raises(InsufficientFunds, match="1000000 more"):
        open_job(paper_spec(), place.home, place.store, place.registry, ledger)
    assert place.ledger.jobs() == []


def test_bad_data_is_refused_before_anything_is_written(place, paper_spec):
    dataset = paper_spec().dataset.model_dump()
    with pytest.raises(DataError, match="negative"):
        place.open(paper_spec(dataset={**dataset, "labels": ["bad", "good"]}))
    assert place.ledger.jobs() == []
    assert place.registry.jobs() == []


def test_rows_that_changed_since_the_job_was_opened_are_refused(place, paper_spec, tiny_csv, tmp_path):
    copy = tmp_path / "rows.csv"
    copy.write_bytes(tiny_csv.read_bytes())
    spec = paper_spec(dataset={**paper_spec().dataset.model_dump(), "source": str(copy)})
    place.open(spec)
    copy.write_bytes(tiny_csv.read_bytes().replace(b"film", b"flim", 1))
    with pytest.raises(SpecError, match="its rows have changed"):
        open_job(spec, place.home, place.store, JobRegistry(tmp_path / "new.db"), place.ledger)


def test_another_contract_is_told_from_the_recorded_one(place, paper_spec):
    job = place.open(paper_spec())
    with pytest.raises(ChainReset) as caught:
        load_job("paper", place.store, place.registry, "atlas1another")
    assert job.contract in str(caught.value)
    assert "atlas1another" in str(caught.value)


def test_an_unknown_job_is_named(place):
    with pytest.raises(JobNotFound, match="'nosuch'"):
        load_job("nosuch", place.store, place.registry, place.ledger.contract)
