"""Data that cannot teach anything is warned about, with the numbers."""

import pytest

from atlas.data.prepare import prepare_dataset
from atlas.data.promise import count_leaked_rows
from atlas.data.warnings import dataset_warnings, warnings_of
from atlas.spec.dataset import DatasetSpec

FINE = {"rows": 900, "held_out": 100, "repeated": 0, "skipped": 0, "labels": {"no": 500, "yes": 500}}


def warned(expected=("no", "yes"), **changes):
    return warnings_of(**FINE | changes, expected=expected)


def test_fine_data_are_not_warned_about():
    assert warned() == []
    assert warned(expected=(), labels={}) == [], "text without labels"
    assert warned(labels={}) == [], "sealed shards"


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"labels": {"yes": 1000}}, "Every row has the label 'yes' (1,000 rows): there is nothing to classify."),
        ({"labels": {"yes": 600, "no": 400}, "expected": ("no", "yes", "maybe")}, "No row has the label 'maybe'."),
        ({"rows": 1, "held_out": 10}, "The training data has 1 row; a model learns little from fewer than 100."),
        ({"held_out": 1}, "The held-out data has only 1 row; metrics on fewer than 10 are unreliable."),
        ({"repeated": 980}, "980 of 1000 rows repeat the text of another row."),
        ({"skipped": 3}, "Skipped 3 rows that could not be used (bad_rows: skip)."),
    ],
)
def test_each_warning_names_its_numbers(changes, warning):
    assert warned(**changes) == [warning]


def prepare(rows, store, write_rows, tmp_path, **changes):
    spec = DatasetSpec(source=write_rows(rows), labels=["no", "yes"], shard_by={"rows": 50}, **changes)
    return prepare_dataset(spec, store, tmp_path / "cache", 17, reference_rows=3)


def test_the_manifest_has_the_numbers(store, write_rows, tmp_path):
    rows = [{"text": f"text {number % 40}", "label": "yes"} for number in range(200)]
    found = dataset_warnings(prepare([*rows, {"text": ""}], store, write_rows, tmp_path, bad_rows="skip"))
    assert [warning.split()[0] for warning in found] == ["160", "Skipped", "Every"]


def test_the_promise_is_checked_on_the_rows(store, write_rows, tmp_path):
    rows = [{"text": f"text {number % 40}", "label": "yes"} for number in range(200)]
    manifest = prepare(rows, store, write_rows, tmp_path)
    assert count_leaked_rows(manifest, store) == {"holdout": 0, "reference": 0}
    older = manifest.model_copy(
        update={"shards": [*manifest.shards, manifest.holdout], "reference": manifest.shards[0]}
    )
    assert count_leaked_rows(older, store) == {"holdout": manifest.holdout.rows, "reference": manifest.shards[0].rows}
    sealed = manifest.model_copy(update={"holdout": manifest.holdout.model_copy(update={"form": "sealed"})})
    assert count_leaked_rows(sealed, store) is None
