"""`atlas job archive` on a real chain and a real Dagster instance."""

import dagster as dg
import pytest

from assets.partitions import JOBS, ROUNDS, SHARDS
from atlas.content.format.cid import cid_of_bytes
from atlas.content.local.store import LocalStore
from atlas.documents.manifests import DatasetManifest, ShardManifest
from atlas.documents.stored import put_document
from atlas.spec.job import JobSpec
from atlas_pipelines.dagster_home import prepare_dagster_home
from atlas_pipelines.execution import open_instance
from resources.jobs.registry import JobRegistry, JobRow

PIECES = [
    ShardManifest(key=key, cid=cid_of_bytes(key.encode()), rows=4, bytes=9) for key in ("s000", "s001", "holdout")
]
DATASET = DatasetManifest(
    source="rows.csv", text_column="text", label_column="label", labels=["a", "b"], shards=PIECES[:2], holdout=PIECES[2]
)
pytestmark = [pytest.mark.slow, pytest.mark.system]


@pytest.fixture
def atlas(atlas_on_chain):
    """Run `atlas job …` on the chain."""
    return lambda *arguments: atlas_on_chain("job", *arguments)


@pytest.fixture
def instance(chain_home, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with open_instance(prepare_dagster_home(chain_home, {})) as instance:
        yield instance


@pytest.fixture
def listed(chain_home, operator_ledger, instance):
    """Open a job of two rounds and two shards, and list its partitions beside those of another job."""

    def open_it(name: str) -> None:
        store = LocalStore(chain_home.content)
        spec = JobSpec.from_mapping(
            {
                "name": name,
                "model": {"source": "package:minilm"},
                "dataset": {"source": "rows.csv", "labels": ["a", "b"], "shard_by": {"rows": 2}},
                "rounds": 2,
                "payment": {"budget": 1000, "reward_per_task": 100},
            }
        )
        documents = [put_document(store, document) for document in (spec, spec, DATASET, spec)]
        number = operator_ledger.create_job(
            key=name,
            spec=documents[0],
            dataset=documents[2],
            shards=2,
            rounds=2,
            reward=100,
            lease_seconds=60,
            escrow=600,
        )
        JobRegistry(chain_home.jobs_database).save_job(JobRow(name, *documents, operator_ledger.contract, number))
        for job in (name, "other"):
            instance.add_dynamic_partitions(JOBS, [job])
            instance.add_dynamic_partitions(ROUNDS, [f"{job}-r0001", f"{job}-r0002"])
            instance.add_dynamic_partitions(SHARDS, [f"{job}-s000", f"{job}-s001"])

    return open_it


def settle(instance, *keys: str) -> None:
    for key in keys:
        instance.report_runless_asset_event(dg.AssetMaterialization("reward_settlement", partition=key))


def lists(instance) -> list[list[str]]:
    return [sorted(instance.get_dynamic_partitions(key)) for key in (JOBS, ROUNDS, SHARDS)]


OTHER = [["other"], ["other-r0001", "other-r0002"], ["other-s000", "other-s001"]]


def test_a_finished_job_leaves_the_lists_and_comes_back(atlas, listed, instance, facts):
    listed("done")
    settle(instance, "done-r0001", "done-r0002")
    before = lists(instance)
    assert facts(atlas("archive", "done", "--json")) == {"job": "done", "archived": True, "rounds": 2, "shards": 2}
    assert lists(instance) == OTHER
    assert facts(atlas("archive", "done", "--json"))["archived"], "a second time changes nothing"
    assert instance.get_materialized_partitions(dg.AssetKey("reward_settlement")) >= {"done-r0001", "done-r0002"}
    assert "are listed again" in atlas("archive", "done", "--undo").stdout
    assert lists(instance) == before


def test_an_open_job_stays_until_it_is_cancelled(atlas, listed, instance, facts, refusal):
    listed("half")
    settle(instance, "half-r0001")
    told = refusal(atlas("archive", "half"))
    assert "half-r0002 is not settled" in told
    assert "atlas job cancel half" in told
    assert "half" in lists(instance)[0]
    assert atlas("cancel", "half").exit_code == 0
    facts(atlas("archive", "half", "--json"))
    assert not [key for keys in lists(instance) for key in keys if key.startswith("half")]


def test_an_unknown_job_is_refused(atlas, refusal):
    assert "No job 'nope' was opened here" in refusal(atlas("archive", "nope"))
