"""Jobs with other aggregations than the default, on real nodes: run, explained, verified from the seed, exported."""

import pytest

pytestmark = pytest.mark.system

CASES = {
    "stack": ({"strategy": "stack", "compression": "int8"}, {"shard_ranks": {"s001": 2}}, {}),
    "rolora": ({"strategy": "rolora", "robust": "median", "outer": "yogi", "compression": "top-k"}, {}, {}),
    "qr-svd": ({"strategy": "qr-svd", "robust": {"rule": "fltrust", "reference_rows": 8}}, {}, {"proximal": 0.1}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_job_with_another_aggregation(workplace, tiny_spec, tmp_path, case):
    aggregation, lora, training = CASES[case]
    place = workplace()
    summary = place.json("run", tiny_spec(aggregation=aggregation, lora=lora, training={"steps": 3, **training}))
    assert [entry["round"] for entry in summary["rounds"]] == [1, 2]

    account = place.json("job", "round", "tiny", "2")
    assert len(account["diagnostics"]["updates"]) == 4
    verified = place.json("verify", summary["checkpoint"], "--rebuild-start")
    assert [entry["round"] for entry in verified["checkpoints"]] == [2, 1, 0]
    place.run("model", "export", summary["checkpoint"], "--merged", tmp_path / "model")
    assert (tmp_path / "model" / "model.safetensors").is_file()
