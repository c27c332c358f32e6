"""The assets of a round, each made by itself as its button in the UI does, with nodes whose behaviour is written."""

import dagster as dg
import pytest
import yaml

from assets.aggregated_checkpoint import aggregated_checkpoint
from assets.base_checkpoint import base_checkpoint
from assets.evaluation import evaluation
from assets.fleet_run.run_process import PROCESS_TAG
from assets.job_report import job_report
from assets.partitions import round_shard_key, rounds
from assets.recorded.records import newest_record, recorded_version
from assets.recorded.run_tags import JOB_TAG
from assets.reward_settlement import reward_settlement
from assets.round_manifest import round_manifest
from assets.shard_adapter import shard_adapter
from atlas.documents.manifests import Checkpoint, RoundEvidence, RoundManifest
from atlas.documents.stored import get_document
from chain_bridge.client.messages import Assignment
from resources.dispatch.outcomes import CompletedTask
from resources.errors import JobAtWork
from resources.jobs.automation import JobAutomations
from resources.jobs.job_lock import job_lock
from resources.jobs.retrainings import Retrainings
from resources.jobs.schedules import JobSchedules
from resources.reports.measurements import Totals
from tests.assets.conftest import failure
from tests.support.jobs.scripted_nodes import adapter_bytes, completes, fails

FIRST, SECOND = "paper-r0001", "paper-r0002"
SHARDS = ["s000", "s001", "s002", "s003"]


@pytest.fixture(autouse=True)
def partition(workshop):
    """The person who launches the first round of a job types its name."""
    workshop.instance.add_dynamic_partitions("round", [FIRST])


@pytest.fixture
def job(place, paper_spec):
    return place.open(paper_spec())


def worse_by(share: float):
    """Completes its tasks; by its evaluation, the checkpoint's loss is higher than its base's by this share."""

    async def behave(node, task, hint, count):
        if task.kind == "evaluate":
            before, after = ({"loss": loss, "rows": 3.0} for loss in (0.5, 0.5 * (1 + share)))
            node.metrics = lambda task: (
                dict(zip(task.checkpoints, (before, after), strict=False))
                | {one: {"loss": 0.5, "reference_loss": 0.5} for one in task.checkpoints[2:]}
            )
        return await completes(node, task, hint, count)

    return behave


def until_aggregated(workshop, partition: str = FIRST) -> dict:
    for asset in (base_checkpoint, round_manifest):
        workshop.make(asset, partition)
    return workshop.make(aggregated_checkpoint, partition)


def check_of(result: dg.ExecuteInProcessResult, name: str) -> dg.AssetCheckEvaluation:
    (found,) = [one for one in result.get_asset_check_evaluations() if one.check_name == name]
    return found


def value_of(check: dg.AssetCheckEvaluation, *names: str) -> tuple:
    return tuple(check.metadata[name].value for name in names)


def test_a_round_goes_from_its_base_to_its_payment(workshop, nodes, job):
    first, second = nodes(completes, completes)
    store = workshop.place.store

    base = workshop.make(base_checkpoint, FIRST)
    assert base["cid"] == base["version"] == job.untrained
    assert (base["job_on_chain"], base["contract"], base["dataset"]) == (job.job_id, job.contract, job.dataset_cid)
    assert "name: paper" in base["order"]
    assert "parent" not in base
    assert workshop.recorded("dataset") == ["paper"]
    assert workshop.recorded("dataset_shard") == [f"paper-{shard}" for shard in SHARDS]
    assert set(workshop.instance.get_dynamic_partitions("round")) == {FIRST, SECOND}

    made = workshop.make(round_manifest, FIRST)
    manifest = get_document(store, made["cid"], RoundManifest)
    assert (manifest.base, made["base"], made["accepted"]) == (job.untrained, job.untrained, 4)
    assert [row.data["shard"] for row in made["updates"].records] == SHARDS
    assert made["refused"].records == []
    assert len(made["loss_curves"]) < 1000, "Dagster shows it without a click"
    assert len(workshop.observed.outcomes) == 4
    updates = {update.shard: update.adapter for update in manifest.updates}
    for shard in SHARDS:
        key = round_shard_key("paper", 1, shard)
        assert recorded_version(workshop.instance, "shard_adapter", key) == updates[shard]

    checkpoint = workshop.make(aggregated_checkpoint, FIRST)
    assert get_document(store, checkpoint["cid"], Checkpoint).manifest == manifest.cid

    evaluated = workshop.make(evaluation, FIRST)
    assert (evaluated["checkpoint"], evaluated["base"]) == (checkpoint["cid"], job.untrained)
    assert (evaluated["loss"], evaluated["node"] in {first.node_id, second.node_id}) == (0.5, True)
    assert [row.data["left_out"] for row in evaluated["leave_one_out"].records] == SHARDS

    paid = workshop.make(reward_settlement, FIRST)
    assert get_document(store, paid["evidence"], RoundEvidence).checkpoint == checkpoint["cid"]
    assert (paid["tasks"], paid["paid"], paid["settled"], paid["backlog"]) == (5, 500_000, "settled", 0)
    assert paid["model_version"] == "paper 1"
    assert "settle_tx_page" not in paid, "the local network has no explorer"
    assert workshop.place.ledger.job(job.job_id).paid == 500_000

    other = Totals("first", "m", "d", "2 of 2", 0.4, "loss", 0.4, 100, 10, 1.0)
    for job_name, facts in (("first", other._asdict()), ("older", {"job": "older"})):
        made_before = dg.AssetMaterialization("job_report", partition=job_name, metadata={"totals": facts})
        workshop.instance.report_runless_asset_event(made_before)
    shown = workshop.make(job_report, "paper")
    assert (shown["paid"], shown["loss"], shown["seconds"]) == (500_000, 0.5, 5.0)
    assert [row.data["round"] for row in shown["rounds"].records] == [1]
    assert [(row.data["job"], row.data["loss"]) for row in shown["jobs"].records] == [("first", 0.4), ("paper", 0.5)]
    assert [row.data["paid"] for row in shown["job_costs"].records] == [100, 500_000]
    assert f"[checkpoint](/assets/aggregated_checkpoint?view=partitions&partition={FIRST})" in shown["pages"]
    assert shown["bytes"] == sum(store.stat(cid).size for cid in updates.values())
    pictures = {"loss_by_round", "training_loss", "payouts", "bytes_by_round", "seconds_by_round"}
    assert {name for name, text in shown.items() if str(text).startswith("![")} == pictures
    assert all(len(shown[name]) < 1000 for name in pictures), "Dagster shows them without a click"
    assert workshop.make(job_report, "paper")["version"] == shown["version"]

    rounds = ["base_checkpoint", "round_manifest", "aggregated_checkpoint", "evaluation", "reward_settlement"]
    adapters = [("shard_adapter", str(round_shard_key("paper", 1, shard))) for shard in SHARDS]
    made = [*((asset, FIRST) for asset in rounds), *adapters, ("job_report", "paper")]
    assert {one: causes for one in made if (causes := workshop.staleness(*one))} == {}
    inputs = workshop.inputs("shard_adapter", adapters[2][1])
    assert inputs == {"base_checkpoint": job.untrained, "dataset_shard": job.dataset.shards[2].cid}
    assert workshop.inputs("dataset_shard", "paper-s002") == {"dataset": job.dataset_cid}
    assert workshop.inputs("aggregated_checkpoint", FIRST)["round_manifest"] == manifest.cid
    assert set(workshop.inputs("round_manifest", FIRST)) == {"base_checkpoint", "shard_adapter"}
    assert workshop.inputs("reward_settlement", FIRST) == {
        "aggregated_checkpoint": checkpoint["cid"], "evaluation": evaluated["version"]
    }  # fmt: skip
    for asset in (base_checkpoint, round_manifest):
        workshop.make(asset, FIRST)
    assert {one: causes for one in made if (causes := workshop.staleness(*one))} == {}, "a repeated round is no change"

    after = workshop.make(base_checkpoint, SECOND)
    assert (after["cid"], after["parent_round"]) == (checkpoint["cid"], FIRST)
    assert after["parent"] == f"/assets/aggregated_checkpoint?view=partitions&partition={FIRST}"
    assert after["parent_run"] is not None
    assert workshop.recorded("dataset") == ["paper"], "the same dataset is recorded once"
    workshop.make(round_manifest, SECOND)
    assert workshop.staleness("round_manifest", SECOND) == [], "its step has reported the adapters itself"


def test_a_second_run_takes_over_what_the_first_one_got(workshop, nodes, job):
    nodes(completes)
    workshop.make(base_checkpoint, FIRST)
    one = workshop.make(round_manifest, FIRST)
    recorded = workshop.recorded("shard_adapter")
    again = workshop.make(round_manifest, FIRST)
    assert (again["cid"], workshop.recorded("shard_adapter")) == (one["cid"], recorded)
    assert [outcome.adopted for outcome in workshop.observed.outcomes] == [False] * 4 + [True] * 4


def test_a_round_without_quorum_fails_its_check_and_says_why(workshop, nodes, place, paper_spec):
    place.open(paper_spec(fleet={"max_attempts": 1}))
    nodes(fails)
    workshop.make(base_checkpoint, FIRST)
    result = workshop.run(round_manifest, FIRST)
    assert not result.success
    assert "out of memory" in failure(result)
    found = check_of(result, "quorum")
    assert (found.passed, found.blocking) == (False, True)
    assert found.description == failure(result)
    assert (found.metadata["updates"].value, found.metadata["shards"].value) == (0, 4)
    causes = [record.data for record in found.metadata["causes"].records]
    assert [cause["shard"] for cause in causes] == SHARDS
    assert workshop.recorded("round_manifest") == []


def test_one_shard_is_trained_by_itself(workshop, nodes, job):
    (node,) = nodes(completes)
    workshop.make(base_checkpoint, FIRST)
    made = workshop.make(shard_adapter, round_shard_key("paper", 1, "s002"))
    (outcome,) = workshop.observed.outcomes
    assert isinstance(outcome, CompletedTask)
    assert (made["cid"], made["receipt"]) == (outcome.result, outcome.receipt_cid)
    assert (made["node"], made["address"], made["attempt"]) == (node.node_id, node.key.address, 1)
    assert (made["base"], made["loss"]) == (job.untrained, 0.7)
    key = str(round_shard_key("paper", 1, "s002"))
    assert workshop.staleness("shard_adapter", key) == []
    assert workshop.inputs("shard_adapter", key)["dataset_shard"] == job.dataset.shards[2].cid


def test_a_shard_that_no_node_trains_fails_with_the_node_s_reason(workshop, nodes, place, paper_spec):
    place.open(paper_spec(fleet={"max_attempts": 1}))
    nodes(fails)
    workshop.make(base_checkpoint, FIRST)
    said = failure(workshop.run(shard_adapter, round_shard_key("paper", 1, "s001")))
    assert said.startswith("Shard s001 was not trained in round 1: ")
    assert "out of memory" in said


def test_a_shard_of_another_job_is_refused(workshop, job):
    workshop.make(base_checkpoint, FIRST)
    workshop.instance.add_dynamic_partitions("shard", ["other-s000"])
    key = dg.MultiPartitionKey({"round": FIRST, "shard": "other-s000"})
    result = workshop.run(shard_adapter, key)
    assert failure(result) == "The round paper-r0001 is of job 'paper', but the shard other-s000 is of job 'other'."


@pytest.mark.parametrize(("share", "severity"), [(0.01, "WARN"), (0.9, "ERROR")])
def test_a_checkpoint_that_is_worse_is_told_and_still_paid(workshop, nodes, job, share, severity):
    nodes(worse_by(share))
    until_aggregated(workshop)
    result = workshop.run(evaluation, FIRST)
    assert result.success
    found = check_of(result, "no_worse_than_base")
    assert (found.passed, found.severity.value) == (False, severity)
    assert f"loss 0.5000 -> {0.5 * (1 + share):.4f}." in found.description
    assert workshop.make(reward_settlement, FIRST)["paid"] == 500_000


def test_the_checks_of_a_good_round_pass_with_their_numbers(workshop, nodes, job):
    nodes(completes)
    workshop.make(base_checkpoint, FIRST)
    refused = check_of(workshop.run(round_manifest, FIRST), "refused_updates")
    assert (refused.passed, *value_of(refused, "refused", "judged", "share")) == (True, 0, 4, 0.0)
    drift = check_of(workshop.run(aggregated_checkpoint, FIRST), "update_norm_drift")
    assert (drift.passed, *value_of(drift, "rounds_compared")) == (True, 0)
    workshop.make(evaluation, FIRST)
    paid = workshop.run(reward_settlement, FIRST)
    settled, cost = check_of(paid, "settled_in_time"), check_of(paid, "cost_within_plan")
    assert (settled.passed, *value_of(settled, "settled", "backlog")) == (True, "settled", 0)
    assert (cost.passed, *value_of(cost, "paid", "reserved", "planned", "free", "rounds_left_cost")) == (
        True, 500_000, 0, 500_000, 500_000, 500_000
    )  # fmt: skip

    workshop.make(base_checkpoint, SECOND)
    workshop.make(round_manifest, SECOND)
    again = check_of(workshop.run(reward_settlement, FIRST), "cost_within_plan")
    assert (again.passed, *value_of(again, "planned")) == (True, 1_000_000), "a repeated round counts the later ones"


def test_refused_updates_are_counted_with_gate_and_node(workshop, nodes, job):
    async def sends_nan(node, task, hint, count):
        return node.completed(task, adapter_bytes(task.slot, broken=True) if task.kind == "train" else None)

    _, broken = nodes(completes, sends_nan)
    workshop.make(base_checkpoint, FIRST)
    result = workshop.run(round_manifest, FIRST)
    assert result.success, failure(result)
    found = check_of(result, "refused_updates")
    refused, judged = value_of(found, "refused", "judged")
    assert (found.passed, judged) == (False, refused + 4)
    assert f"node {broken.node_id}, gate finite" in found.description
    assert [row.data for row in found.metadata["nodes"].records] == [
        {"gate": "finite", "node": broken.node_id, "updates": refused}
    ]


def test_updates_that_are_far_longer_than_in_the_rounds_before_are_warned_about(workshop, nodes, job):
    nodes(completes)
    until_aggregated(workshop)
    event = dg.AssetMaterialization(
        "aggregated_checkpoint", partition=FIRST, metadata={"median_update_norm": 0.01}, tags={}
    )
    real = newest_record(workshop.instance, "aggregated_checkpoint", FIRST).asset_materialization
    assert real.metadata["median_update_norm"].value > 0.01 * 3
    workshop.make(evaluation, FIRST)
    workshop.make(reward_settlement, FIRST)
    workshop.make(base_checkpoint, SECOND)
    workshop.make(round_manifest, SECOND)
    steady = check_of(workshop.run(aggregated_checkpoint, SECOND), "update_norm_drift")
    assert (steady.passed, *value_of(steady, "rounds_compared")) == (True, 1)
    workshop.instance.report_runless_asset_event(event)
    result = workshop.run(aggregated_checkpoint, SECOND)
    found = check_of(result, "update_norm_drift")
    assert (result.success, found.passed, found.severity.value) == (True, False, "WARN")
    assert "in the rounds before it was 0.01" in found.description


def test_a_round_in_its_challenge_window_is_in_time(workshop, nodes, job):
    path = workshop.place.home.root / "network.yaml"
    file = yaml.safe_load(path.read_text())
    file["network"]["explorer"] = "https://explorer.example/tx/{hash}"
    path.write_text(yaml.safe_dump(file))
    workshop.place.ledger.update_config(challenge_seconds=3600)
    nodes(completes)
    until_aggregated(workshop)
    workshop.make(evaluation, FIRST)
    result = workshop.run(reward_settlement, FIRST)
    facts = newest_record(workshop.instance, "reward_settlement", FIRST).asset_materialization.metadata
    assert facts["submit_tx_page"].url == f"https://explorer.example/tx/{facts['submit_tx'].value}"
    assert (facts["settle_tx"].value, "settle_tx_page" in facts) == ("due", False)
    found, cost = check_of(result, "settled_in_time"), check_of(result, "cost_within_plan")
    assert (found.passed, *value_of(found, "settled")) == (True, "due")
    assert "after the challenge window, which ends at 2" in found.description
    assert (cost.passed, *value_of(cost, "paid", "reserved")) == (True, 0, 500_000)


def test_money_that_another_coordinator_reserves_for_a_later_round_is_an_error(workshop, nodes, job):
    (node,) = nodes(completes)
    until_aggregated(workshop)
    workshop.make(evaluation, FIRST)
    leases = [Assignment(slot, node.node_id, 1) for slot in range(2)]
    workshop.place.ledger.assign_batch(job.job_id, 2, job.spec_cid, leases)
    result = workshop.run(reward_settlement, FIRST)
    found = check_of(result, "cost_within_plan")
    assert (result.success, found.passed, found.severity.value) == (True, False, "ERROR")
    assert "500000 is paid and 200000 reserved" in found.description
    assert "atlas job top-up paper 200000" in found.description


def test_an_evaluation_that_no_node_makes_fails_with_its_reason(workshop, nodes, place, paper_spec):
    async def trains_only(node, task, hint, count):
        return await (completes if task.kind == "train" else fails)(node, task, hint, count)

    place.open(paper_spec(fleet={"max_attempts": 1}))
    nodes(trains_only)
    until_aggregated(workshop)
    said = failure(workshop.run(evaluation, FIRST))
    assert said.startswith("The checkpoint of round 1 was not evaluated: ")
    assert "out of memory" in said


@pytest.mark.parametrize(
    ("asset", "missing"),
    [(aggregated_checkpoint, "round_manifest"), (evaluation, "aggregated_checkpoint")],
    ids=["aggregated_checkpoint", "evaluation"],
)
def test_what_a_step_lacks_is_named_with_the_job_that_makes_it(workshop, job, asset, missing):
    workshop.make(base_checkpoint, FIRST)
    said = failure(workshop.run(asset, FIRST))
    assert said == f"{missing} has no partition {FIRST} yet. Launch federated_round for it."
    assert workshop.recorded(asset.key.to_user_string()) == []


def test_a_round_that_the_job_does_not_have_is_refused_and_cancels_the_run(workshop, job):
    workshop.instance.add_dynamic_partitions("round", ["paper-r0003"])
    result = workshop.run(base_checkpoint, "paper-r0003")
    assert failure(result) == "Job 'paper' has 2 rounds, so there is no round 3."
    assert workshop.instance.get_run_by_id(result.run_id).status is dg.DagsterRunStatus.CANCELED


def test_a_round_before_its_time_is_refused(workshop, job):
    workshop.instance.add_dynamic_partitions("round", [SECOND])
    said = failure(workshop.run(base_checkpoint, SECOND))
    assert said.endswith("Run round 1 first.")
    assert workshop.recorded("base_checkpoint") == []


@pytest.mark.parametrize("asset", [base_checkpoint, round_manifest], ids=["base_checkpoint", "round_manifest"])
def test_a_second_run_of_a_job_is_refused_and_the_first_one_named(workshop, place, job, asset):
    with job_lock("paper", place.home, "run-1"):
        result = workshop.run(asset, FIRST)
    assert failure(result) == (
        "Job 'paper' is in progress in run run-1. Wait until that run ends, or terminate it in the Dagster UI."
    )
    assert workshop.instance.get_run_by_id(result.run_id).status is dg.DagsterRunStatus.CANCELED
    assert workshop.recorded(asset.key.to_user_string()) == []


def test_a_run_without_tags_gets_them_and_frees_its_job_when_it_ends(workshop, place, job):
    result = workshop.run(base_checkpoint, FIRST)
    tags = workshop.instance.get_run_by_id(result.run_id).tags
    assert tags[JOB_TAG] == "paper"
    assert tags[PROCESS_TAG].startswith(result.run_id)
    with job_lock("paper", place.home, "run-2"):
        pass


def test_a_job_is_held_until_the_last_step_of_its_run(workshop, place, job):
    seen = []

    @dg.asset(partitions_def=rounds, deps=[base_checkpoint])
    def later():
        with pytest.raises(JobAtWork) as refused, job_lock("paper", place.home, "run-2"):
            pass
        seen.append(str(refused.value))

    result = dg.materialize(
        [base_checkpoint, later],
        instance=workshop.instance,
        partition_key=FIRST,
        resources={**workshop.resources, "progress": workshop.observed},
    )
    (refusal,) = seen
    assert result.run_id in refusal


@pytest.mark.parametrize(("opened", "kept"), [(False, "0 3 * * 1"), (True, None)], ids=["new", "open"])
def test_schedule_and_automation_of_a_jobs_file_are_kept_at_its_opening(
    workshop, place, paper_spec, tmp_path, opened, kept
):
    spec = paper_spec(payment={"budget": 1, "reward_per_task": 1}).model_dump(mode="json")  # refused after the reading
    if opened:
        spec = paper_spec().model_dump(mode="json")
        place.open(paper_spec())
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump({**spec, "schedule": {"cron": "0 3 * * 1"}, "automation": {"after": "a"}}))
    assert workshop.run(base_checkpoint, FIRST, {"spec": str(path)}).success is opened
    found = JobSchedules(place.home.jobs_database).get("paper")
    assert (found[1].cron if found else None) == kept
    assert list(JobAutomations(place.home.jobs_database).all()) == (["paper"] if kept else [])


@pytest.mark.usefixtures("job")
def test_an_order_that_a_person_repeats_is_recorded_as_a_retraining_outside_the_budget(workshop, place, paper_spec):
    place.open(paper_spec(name="again"))
    workshop.instance.add_dynamic_partitions("round", ["again-r0001"])
    workshop.make(base_checkpoint, FIRST)
    workshop.make(base_checkpoint, "again-r0001", {"repeat": "paper"})
    recorded = Retrainings(place.home.jobs_database)
    assert [(one.name, one.budget) for one in recorded.of("paper")] == [("again", 0)]
    assert recorded.of("again") == []


def test_a_job_that_nobody_opened_is_named(workshop):
    workshop.instance.add_dynamic_partitions("round", ["nobody-r0001"])
    said = failure(workshop.run(round_manifest, "nobody-r0001"))
    assert said == "No job 'nobody' was opened here. Start it with `atlas run SPEC`."
