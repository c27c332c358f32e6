"""The asset `dataset`: an order's rows in shards, before anything of it is on chain."""

import pytest
import yaml

from assets.dataset import dataset
from assets.recorded.source_version import recorded_source
from atlas.content.format.cid import cid_of_file
from atlas.documents.manifests import DatasetManifest
from atlas.documents.stored import get_document
from tests.assets.conftest import failure


@pytest.fixture
def order(tmp_path, paper_spec):
    """Write the paper job's file, with these changes."""

    def write(**changes) -> dict:
        path = tmp_path / "paper.yaml"
        path.write_text(yaml.safe_dump(paper_spec(**changes).model_dump(mode="json")))
        return {"spec": str(path)}

    return write


@pytest.fixture(autouse=True)
def partition(workshop):
    workshop.instance.add_dynamic_partitions("job", ["paper"])


def test_the_shards_are_in_the_store_and_in_the_ui_and_no_job_is_opened(workshop, order, tiny_csv):
    made = workshop.make(dataset, "paper", order())
    manifest = get_document(workshop.place.store, made["cid"], DatasetManifest)
    assert made["version"] == manifest.cid
    assert (made["rows"], made["held_out_rows"]) == (sum(one.rows for one in manifest.shards), manifest.holdout.rows)
    assert made["rows"] + made["held_out_rows"] == 240
    assert [row.data["rows"] for row in made["shards"].records] == [one.rows for one in manifest.shards]
    names = [f"paper-{one.key}" for one in manifest.shards]
    assert workshop.recorded("dataset_shard") == names == list(workshop.instance.get_dynamic_partitions("shard"))
    assert all(workshop.place.store.has(one.cid) for one in manifest.shards)
    source = recorded_source(workshop.instance, "paper")
    assert (source.version, source.manifest) == (cid_of_file(tiny_csv), manifest.cid)
    assert workshop.place.registry.job("paper") is None
    assert workshop.observed.notes[0] == f"Reading {tiny_csv}."


def test_the_launchpad_s_settings_change_the_order(workshop, order):
    made = workshop.make(dataset, "paper", order() | {"settings": ["dataset.holdout_rows=20"]})
    assert made["held_out_rows"] == 20


def test_an_opened_job_is_read_as_it_was_ordered(workshop, place, paper_spec):
    job = place.open(paper_spec())
    assert workshop.make(dataset, "paper")["cid"] == job.dataset_cid


def test_an_opened_job_is_ordered_again_under_another_name(workshop, place, paper_spec):
    job = place.open(paper_spec())
    workshop.instance.add_dynamic_partitions("job", ["again"])
    assert workshop.make(dataset, "again", {"repeat": "paper"})["cid"] == job.dataset_cid
    assert workshop.recorded("dataset_shard") == [f"again-{one.key}" for one in job.dataset.shards]


def test_a_source_that_is_gone_fails_with_its_name(workshop, order, tmp_path):
    config = order() | {"settings": [f"dataset.source={tmp_path}/gone.csv"]}
    assert f"{tmp_path}/gone.csv" in failure(workshop.run(dataset, "paper", config))
    assert workshop.recorded("dataset") == []


def test_a_job_to_repeat_that_was_never_opened_is_named(workshop):
    said = failure(workshop.run(dataset, "paper", {"repeat": "nobody"}))
    assert said.startswith("No job 'nobody' was opened here, so it cannot be repeated.")


@pytest.mark.parametrize(("written", "warned"), [("paper", False), ("other", True)])
def test_a_spec_with_another_name_than_the_partition_is_warned_of(workshop, order, capsys, written, warned):
    assert workshop.make(dataset, "paper", order(name=written))["cid"]
    logged = capsys.readouterr().err
    assert ("names the job 'other', but the partition names it 'paper'" in logged) == warned
