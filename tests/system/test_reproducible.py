"""The same spec in two homes gives the same bytes."""

import pytest

pytestmark = pytest.mark.system


def test_two_homes_agree_on_every_cid(workplace, tiny_spec):
    spec = tiny_spec()
    first, second = (workplace(name).json("run", spec) for name in ("one", "two"))
    assert first["checkpoint"] == second["checkpoint"]
    assert [r["checkpoint"] for r in first["rounds"]] == [r["checkpoint"] for r in second["rounds"]]
    assert [r["metrics"] for r in first["rounds"]] == [r["metrics"] for r in second["rounds"]]

    def adapters(summary):
        return {(task["round"], task["shard"]): task["adapter"] for task in summary["tasks"] if task["shard"]}

    assert adapters(first) == adapters(second)
    assert len(set(adapters(first).values())) == 8
    assert {task["receipt"] for task in first["tasks"]}.isdisjoint(task["receipt"] for task in second["tasks"])


def test_a_checkpoint_verifies_and_an_altered_one_does_not(workplace, tiny_spec):
    place = workplace()
    summary = place.json("run", tiny_spec())
    verified = place.json("verify", summary["checkpoint"])
    assert verified["verified"] is True
    assert [entry["round"] for entry in verified["checkpoints"]] == [2, 1, 0]

    adapter = next(task["adapter"] for task in summary["tasks"] if task["shard"])
    path = next((place.home / "content").rglob(adapter))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    refused = place.run("verify", summary["checkpoint"], expect=1)
    assert adapter in refused.stderr
