"""The sensor that orders jobs again, where it reads models from a real chain."""

import dagster as dg
import pytest
import yaml

from assets.recorded.records import DATA_VERSION
from assets.recorded.run_tags import JOB_TAG
from atlas.content.format.cid import cid_of_bytes
from atlas_pipelines.retraining import on_events
from resources.coordinator import CoordinatorResource
from resources.rounds.verdict import compare
from tests.support.pipeline.campaign import Campaign

pytestmark = [pytest.mark.slow, pytest.mark.system]

WORSE = compare({"loss": 0.5}, {"loss": 0.9, "loss_change_error": 0.01}, tolerance=0.02)


@pytest.fixture
def campaign(chain_home, chain_addresses, tmp_path):
    network = tmp_path / "network.yaml"
    network.write_text(yaml.safe_dump(chain_addresses.model_dump(mode="json")))
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield Campaign(instance, CoordinatorResource(atlas_home=str(chain_home.root), network_file=str(network)))


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\nold,no\n")
    return path


@pytest.fixture
def register(open_job, operator_ledger):
    """Open a job on chain and register versions of its model."""

    def register(name, *versions):
        row = open_job(name)
        for version in versions:
            operator_ledger.register_model(name, version, cid_of_bytes(f"{name} {version}".encode()), row.job_id)

    return register


def test_a_model_that_is_promoted_after_the_first_look_is_a_cause_once(campaign, rows, register, operator_ledger):
    register("base", 1, 2)
    operator_ledger.promote_model("base", 1)
    campaign.open("tuned", rows)
    campaign.settle("tuned-r0001")
    campaign.automate("tuned", on_new_base="base")
    assert campaign.look() == [], "it was promoted before"
    operator_ledger.promote_model("base", 2)
    assert len(campaign.look()) == 1
    campaign.finish_retraining(rows)
    assert campaign.look() == []
    campaign.automate("tuned", on_new_base="base", on_new_data=True)
    rows.write_text("text,label\nnew,no\n")
    assert len(campaign.look()) == 1
    campaign.coordinator.automations.put("tuned", 1, None)


@pytest.mark.parametrize("decision", ["promoted", "deprecated"])
def test_a_failed_check_blocks_the_automation_until_a_person_decides(
    campaign, rows, register, operator_ledger, monkeypatch, decision
):
    job = f"fell-{decision}"
    register(job, 1)
    campaign.open(job, rows)
    campaign.report("aggregated_checkpoint", f"{job}-r0001", tags={DATA_VERSION: cid_of_bytes(f"{job} 1".encode())})
    campaign.settle(f"{job}-r0001")
    campaign.automate(job, on_new_data=True)
    monkeypatch.setattr(on_events, "recorded_verdict", lambda *_: WORSE)
    rows.write_text("text,label\nnew,no\n")
    assert campaign.look() == []
    assert f"{job}: Version 1 of {job} failed the check no_worse_than_base: loss 0.5000 -> 0.9000" in campaign.reason
    assert f"atlas model deprecate {job} 1" in campaign.reason
    if decision == "promoted":
        operator_ledger.promote_model(job, 1)
    else:
        operator_ledger.deprecate_model(job, 1)
    assert len(campaign.look()) == 1
    assert campaign.requests[0].tags[JOB_TAG].startswith(f"{job}-v")
    campaign.coordinator.automations.put(job, 1, None)


def test_a_chain_that_is_away_is_the_reason_of_the_skipped_tick(campaign, rows, tmp_path):
    lonely = Campaign(campaign.instance, CoordinatorResource(atlas_home=str(tmp_path / "other")))
    lonely.open("alone", rows)
    lonely.settle("alone-r0001")
    lonely.automate("alone", on_new_base="base")
    assert lonely.look() == []
    assert "alone: The network does not run" in lonely.reason
