"""What differs between two specs is named by field."""

from atlas.spec import JobSpec
from atlas.spec_changes import changed_fields

RAW = {
    "name": "tiny",
    "model": {"source": "path:base", "task": "causal-lm"},
    "dataset": {"source": "rows.csv", "label_column": None, "shard_by": {"rows": 10}},
    "lora": {"target_modules": ["query"]},
    "payment": {"budget": 100, "reward_per_task": 1},
}


def test_each_field_that_differs_is_listed_with_both_values():
    old = JobSpec.from_mapping(RAW)
    new = JobSpec.from_mapping(
        {
            **RAW,
            "training": {"steps": 3},
            "dataset": {**RAW["dataset"], "bad_rows": "skip"},
            "lora": {"target_modules": []},
        }
        | {"lora": {"target_modules": ["key"]}}
    )
    assert changed_fields(old, new) == [
        "dataset.bad_rows: the default before, 'skip' now",
        "lora.target_modules: ['query'] before, ['key'] now",
        "training.steps: 40 before, 3 now",
    ]
    assert changed_fields(old, old) == []
