"""The job of `make demo`, whole: its checkpoints are those on record, so no change of the code may move them unseen."""

import pytest
import torch

pytestmark = [pytest.mark.slow, pytest.mark.system]

CHECKPOINTS = {
    "AVX2": [
        "bafkreiclp5lm2uz7q4uxfplqlelzjxiie2tnoc7wv7osg3iarngvak375e",
        "bafkreidbxkrrjgyt652apqoqmiljzrafdg6o5rigpwmmjucxfmodauw45i",
        "bafkreib5fie2i47es6lqkfs5n6cdvjwlfkkwfzxz4pkv24kznl5vzongpa",
    ],
}
"""After rounds 1, 2 and 3, by the CPU's instruction set: another one rounds otherwise."""


@pytest.mark.timeout(1800)
def test_the_example_ends_with_the_checkpoints_on_record(workplace):
    kind = torch.backends.cpu.get_cpu_capability()
    if kind not in CHECKPOINTS:
        pytest.skip(f"no checkpoints are on record for CPUs with {kind}")
    place = workplace()
    place.seconds = 1700  # five minutes on two idle cores
    summary = place.json("run", "examples/sentiment.yaml")
    assert [one["checkpoint"] for one in summary["rounds"]] == CHECKPOINTS[kind]
    assert summary["rounds"][-1]["metrics"]["accuracy"] > 0.8
