"""The checks on a dataset's rows, by themselves, on real manifests."""

import dagster as dg
import pytest

from assets.checks.data import dataset_teaches, held_out_apart
from assets.dataset import dataset, dataset_event, dataset_metadata
from atlas.content.local.store import LocalStore
from atlas.data.prepare import prepare_dataset
from atlas.documents.stored import put_document
from atlas.spec.dataset import DatasetSpec


class Content:
    """The store alone; the checks need nothing else."""

    def __init__(self, store):
        self.store = store


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


@pytest.fixture
def manifest(store, tmp_path):
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(f"text {number},yes\n" for number in range(300)))
    spec = DatasetSpec(source=str(tmp_path / "rows.csv"), labels=["no", "yes"], shard_by={"rows": 100})
    return prepare_dataset(spec, store, tmp_path / "cache", 17)


def evaluate(which, manifest, store):
    put_document(store, manifest)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("job", ["tiny", "somebody typed this"])
        instance.report_runless_asset_event(dataset_event("tiny", manifest, dg.MetadataValue.text, {}))
        result = dg.materialize(
            [which, dataset],
            selection=dg.AssetSelection.checks(which),
            instance=instance,
            resources={"content": Content(store), "coordinator": None, "ledger": None, "progress": None},
        )
        (evaluation,) = result.get_asset_check_evaluations()
        return evaluation


def test_data_of_one_label_are_warned_about(manifest, store):
    found = evaluate(dataset_teaches, manifest, store)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found.description == "tiny: Every row has the label 'yes' (300 rows): there is nothing to classify."
    assert "Every row has the label" in dataset_metadata(manifest, dg.MetadataValue.text)["warnings"].value


def test_held_out_rows_that_are_trained_on_are_counted(manifest, store):
    assert evaluate(held_out_apart, manifest, store).passed
    older = manifest.model_copy(update={"shards": [*manifest.shards, manifest.holdout]})
    found = evaluate(held_out_apart, older, store)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found.description == "tiny: 30 rows of holdout with a text that is also in a shard."
