"""NVFlare's running mean: updates come from disk one at a time, and only the adding is timed."""

from typing import Any

import torch
from common import Meter, answer, read_tensors, update_path, weight_of
from nvflare.app_common.aggregators.weighted_aggregation_helper import WeightedAggregationHelper


def work(folder: str, updates: int, tensors: str) -> dict[str, Any]:
    """Average the updates as `numpy` arrays or as `torch` tensors."""
    meter = Meter()
    helper = WeightedAggregationHelper()
    for number in range(updates):
        values: dict[str, Any] = read_tensors(update_path(folder, number))
        if tensors == "torch":
            values = {name: torch.from_numpy(one) for name, one in values.items()}
        with meter.work():
            helper.add(values, weight_of(number), f"site-{number}", 1)
        del values
    with meter.work():
        helper.get_result()
    return meter.report()


if __name__ == "__main__":
    answer(work)
