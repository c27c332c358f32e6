"""An unknown name is answered with the known one that was probably meant."""

import pytest

from atlas.errors import SpecError
from atlas.spec.job import JobSpec
from atlas.suggestions import suggest

RAW = {
    "name": "tiny",
    "model": {"source": "path:base", "task": "causal-lm"},
    "dataset": {"source": "rows.csv", "label_column": None, "shard_by": {"rows": 10}},
    "lora": {"target_modules": ["query"]},
    "payment": {"budget": 100, "reward_per_task": 1},
}


def complaint(path, value):
    raw = {name: dict(part) if isinstance(part, dict) else part for name, part in RAW.items()}
    place = raw
    *parents, last = path.split(".")
    for parent in parents:
        place[parent] = dict(place.get(parent, {}))
        place = place[parent]
    place[last] = value
    with pytest.raises(SpecError) as caught:
        JobSpec.from_mapping(raw)
    return next(line for line in str(caught.value).splitlines() if line.startswith(f"{path}:"))


@pytest.mark.parametrize(
    ("path", "value", "meant"),
    [
        ("training.step", 3, "Did you mean training.steps?"),
        ("dataset.shard_by.row", 3, "Did you mean dataset.shard_by.rows?"),
        ("dataset.badrows", "skip", "Did you mean dataset.bad_rows?"),
        ("aggregation.outer.learningrate", 1, "Did you mean aggregation.outer.learning_rate?"),
        ("trainig", {"steps": 3}, "Did you mean training?"),
        ("learning_rate", 0.1, "learning_rate?"),
        ("steps", 3, "Did you mean training.steps?"),
        ("training.precision", "fp23", "Did you mean 'fp32'?"),
        ("dataset.bad_rows", "skipp", "Did you mean 'skip'?"),
        ("aggregation.strategy", "fedavgg", "Did you mean 'fedavg'?"),
    ],
)
def test_what_was_probably_meant_is_named(path, value, meant):
    assert meant in complaint(path, value)


@pytest.mark.parametrize(("path", "value"), [("zzz", 1), ("training.precision", 7), ("aggregation.strategy", "zzz")])
def test_nothing_is_guessed_where_nothing_is_close(path, value):
    assert "Did you mean" not in complaint(path, value)


def test_a_name_is_compared_with_the_known_ones():
    assert suggest("smolm2", ["minilm", "smollm2"]) == " Did you mean 'smollm2'?"
    assert suggest("zzz", ["minilm"]) == ""
