"""A job is checked whole before the chain hears of it, and opened once however often that is tried."""

import json

import pytest

from atlas.aggregation.gates.schema import schema_of
from atlas.content.format.cid import cid_of_bytes
from atlas.documents.manifests import Checkpoint, DatasetManifest, ModelManifest
from atlas.documents.stored import get_document
from atlas.errors import DataError, SpecError
from atlas.home import AtlasHome
from atlas.spec.job import JobSpec
from atlas.spec.recorded_forms import as_opened, recorded_forms
from chain_bridge.client.keys import load_or_create_key
from chain_bridge.errors import InsufficientFunds
from chain_bridge.ledger import Ledger
from resources.errors import BudgetError, CoordinatorError, JobNotFound, OtherContract
from resources.jobs.local_tasks import rebuilt_untrained_adapter
from resources.jobs.open_job import open_job, read_dataset
from resources.jobs.opened import load_job
from resources.jobs.order_checks import check_order
from resources.jobs.registry import JobRegistry
from tests.support.jobs.scripted_nodes import untrained_bytes


def test_a_job_is_on_chain_with_its_documents_in_the_store(place, paper_spec):
    told = []
    spec = paper_spec()
    make = place.made.make
    job = open_job(spec, place.home, place.store, place.registry, place.ledger, told.append, make_adapter=make)
    on_chain = place.ledger.job(job.job_id)
    recorded = as_opened(spec)
    assert (on_chain.spec, on_chain.dataset, on_chain.shards) == (recorded.cid, job.dataset.cid, 4)
    assert (on_chain.deposited, on_chain.reward, on_chain.rounds) == (1_000_000, 100_000, 2)
    assert get_document(place.store, job.spec_cid, JobSpec) == recorded
    assert get_document(place.store, job.dataset_cid, DatasetManifest) == job.dataset
    assert get_document(place.store, job.model_cid, ModelManifest).source == spec.model.source
    assert get_document(place.store, job.untrained, Checkpoint) == Checkpoint(
        job=recorded.cid, round=0, adapter=cid_of_bytes(untrained_bytes()), parent=None, manifest=None
    )
    assert place.store.read(get_document(place.store, job.untrained, Checkpoint).adapter) == untrained_bytes()
    assert any("rows" in text for text in told)
    assert told.count("Computing the untrained adapter.") == 1
    assert read_dataset(spec, place.home, place.store, place.ledger) == job.dataset


def test_opening_again_changes_nothing(place, paper_spec):
    first = place.open(paper_spec())
    balance = place.ledger.balance(place.operator.address)
    assert place.open(paper_spec()) == first
    assert load_job("paper", place.store, place.registry, place.ledger.contract) == first
    assert place.ledger.balance(place.operator.address) == balance


def test_a_job_that_is_on_chain_but_not_in_the_registry_is_adopted(place, paper_spec, tmp_path):
    first = place.open(paper_spec())
    forgotten = JobRegistry(tmp_path / "other" / "coordinator.db")
    again = open_job(paper_spec(), place.home, place.store, forgotten, place.ledger, make_adapter=place.made.make)
    assert again == first
    assert len(place.ledger.jobs()) == 1


@pytest.fixture
def opened_before_rules_were_named(place, paper_spec, monkeypatch):
    """A job that was opened with `robust: auto` in its spec, as all were before."""
    with monkeypatch.context() as patch:
        patch.setattr("resources.jobs.open_job.recorded_forms", lambda order: [order])
        return place.open(paper_spec())


def test_the_rule_that_auto_stands_for_is_written_into_the_job(place, paper_spec):
    assert place.open(paper_spec()).spec.aggregation.robust.rule == "spectral-filter"
    trusted = paper_spec(name="trusted", fleet={"trusted": True})
    assert place.open(trusted).spec.aggregation.robust.rule == "none"


def test_a_job_recorded_with_auto_keeps_its_rule_and_is_taken_up_again(
    place, paper_spec, opened_before_rules_were_named, tmp_path
):
    before = opened_before_rules_were_named
    assert before.spec.aggregation.robust.rule == "auto"
    assert before.spec.robust_aggregation.robust.rule == "centered-clipping"
    assert place.open(paper_spec()) == before
    assert place.open(paper_spec(aggregation={"robust": "centered-clipping"})) == before
    forgotten = JobRegistry(tmp_path / "other" / "coordinator.db")
    again = open_job(paper_spec(), place.home, place.store, forgotten, place.ledger, make_adapter=place.made.make)
    assert again == before
    assert len(place.ledger.jobs()) == 1


def test_another_rule_is_another_order(place, paper_spec, opened_before_rules_were_named):
    for rule in ("spectral-filter", "none", "multi-krum"):
        with pytest.raises(SpecError, match="is taken"):
            place.open(paper_spec(aggregation={"robust": rule}))


@pytest.mark.parametrize("rule", ["auto", "none", "spectral-filter", "centered-clipping", "median"])
@pytest.mark.parametrize("trusted", [False, True])
def test_every_form_of_an_order_but_the_new_default_aggregates_alike(paper_spec, rule, trusted):
    order = paper_spec(aggregation={"robust": rule}, fleet={"trusted": trusted})
    today, *before = recorded_forms(order)
    assert today.aggregation.robust.rule != "auto"
    assert JobSpec.from_bytes(today.canonical_bytes()) == today
    assert {form.robust_aggregation.robust.rule for form in before} == {order.robust_aggregation.robust.rule}


def test_an_opening_that_was_cut_short_does_not_make_the_adapter_again(place, paper_spec, monkeypatch):
    spec = paper_spec(payment={"budget": 2_000_000, "reward_per_task": 100_000})
    with monkeypatch.context() as patch:
        patch.setattr(place.ledger, "create_job", lambda **order: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            place.open(spec)
    assert place.made.count == 1
    job = place.open(spec)
    assert place.made.count == 1
    place.store.fetch(get_document(place.store, job.untrained, Checkpoint).adapter).unlink()
    forgotten = JobRegistry(place.home.root / "other.db")
    again = open_job(spec, place.home, place.store, forgotten, place.ledger, make_adapter=place.made.make)
    assert (again, place.made.count) == (job, 2)


def test_nothing_is_on_chain_when_the_adapter_cannot_be_made(place, paper_spec, monkeypatch):
    monkeypatch.setattr("resources.jobs.local_tasks.NEEDED", ("torch", "no_such_package"))
    with pytest.raises(
        CoordinatorError, match=r"not installed on this machine: no_such_package\. Install atlas-pipelines\[node"
    ):
        open_job(paper_spec(), place.home, place.store, place.registry, place.ledger)
    assert place.ledger.jobs() == []
    assert place.registry.jobs() == []


@pytest.mark.slow
def test_the_untrained_adapter_is_made_by_a_child_process_and_is_the_same_again(place, tiny_spec):
    spec = JobSpec.load(tiny_spec())
    job = open_job(spec, place.home, place.store, place.registry, place.ledger)
    adapter = get_document(place.store, job.untrained, Checkpoint).adapter
    schema = schema_of(place.store.fetch(adapter))
    assert {shape[0] for name, (_, shape) in schema.items() if ".lora_A." in name} == {4}
    assert rebuilt_untrained_adapter(spec, place.home.root / "cache") == adapter
    other = spec.model_copy(update={"training": spec.training.model_copy(update={"seed": 5})})
    assert rebuilt_untrained_adapter(other, place.home.root / "cache") != adapter


def test_a_rank_for_a_shard_that_there_is_not_is_refused_with_the_shards(place, paper_spec):
    lora = {"rank": 4, "target_modules": ["query"], "shard_ranks": {"s001": 2, "s004": 2}}
    with pytest.raises(SpecError, match=r"names s004, but the shards of .* are s000, s001, s002, s003"):
        place.open(paper_spec(lora=lora, aggregation={"strategy": "stack"}))
    assert (place.made.count, place.ledger.jobs()) == (0, [])


def test_a_length_beyond_the_model_s_positions_is_refused_before_anything_is_written(place, paper_spec, tmp_path):
    config = {"model_type": "roberta", "max_position_embeddings": 66, "pad_token_id": 1}
    spec = paper_spec(training={"max_length": 65})
    (tmp_path / "paper-model" / "config.json").write_text(json.dumps(config))
    with pytest.raises(SpecError, match=r"max_length is 65, but path:.*paper-model has positions for 64 tokens"):
        place.open(spec)
    assert (place.made.count, place.ledger.jobs(), place.registry.jobs()) == (0, [], [])
    assert not [path for path in place.home.content.rglob("*") if path.is_file()]
    place.open(paper_spec(training={"max_length": 64}))


def test_rows_for_the_coordinator_are_kept_where_the_robust_rule_needs_them(place, paper_spec):
    assert place.open(paper_spec(name="plain")).dataset.reference is None
    robust = {"rule": "fltrust", "reference_rows": 30}
    trusting = place.open(paper_spec(aggregation={"robust": robust}))
    assert trusting.dataset.reference.rows == 30
    with pytest.raises(DataError, match="reference_rows is 3000"):
        place.open(paper_spec(name="greedy", aggregation={"robust": {**robust, "reference_rows": 3000}}))


def test_the_early_check_says_how_many_rows_it_reads_and_includes_the_budget(paper_spec, tmp_path):
    spec, told = paper_spec(), []
    check_order(spec, AtlasHome(tmp_path), told.append)
    assert told == [
        f"Checking the model {spec.model.source} and the first 20,000 rows, or fewer, of {spec.dataset.source}."
    ]
    with pytest.raises(BudgetError, match=r"is 999999, .* cost 1000000\."):
        check_order(paper_spec(payment={"budget": 999_999, "reward_per_task": 100_000}), AtlasHome(tmp_path))


def test_a_budget_below_the_promise_is_refused_with_both_numbers(place, paper_spec):
    with pytest.raises(BudgetError, match=r"is 999999, .* cost 1000000\. Raise payment\.budget to 1000000"):
        place.open(paper_spec(payment={"budget": 999_999, "reward_per_task": 100_000}))
    assert place.ledger.jobs() == []
    assert place.registry.jobs() == []


def test_an_operator_who_cannot_pay_is_told_how_much_is_missing(place, paper_spec, tmp_path):
    poor = load_or_create_key(tmp_path / "poor" / "operator.key", "atlas")
    with Ledger(place.addresses.network, poor) as ledger, pytest.raises(InsufficientFunds, match="1000000 more"):
        open_job(paper_spec(), place.home, place.store, place.registry, ledger, make_adapter=place.made.make)
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
        registry = JobRegistry(tmp_path / "new.db")
        open_job(spec, place.home, place.store, registry, place.ledger, make_adapter=place.made.make)


def test_another_contract_is_told_from_the_recorded_one(place, paper_spec):
    job = place.open(paper_spec())
    with pytest.raises(OtherContract) as caught:
        load_job("paper", place.store, place.registry, "atlas1another")
    assert job.contract in str(caught.value)
    assert "atlas1another" in str(caught.value)


def test_an_unknown_job_is_named(place):
    with pytest.raises(JobNotFound, match="'nosuch'"):
        load_job("nosuch", place.store, place.registry, place.ledger.contract)
