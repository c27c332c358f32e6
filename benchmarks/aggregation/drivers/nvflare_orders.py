"""NVFlare's results under many orders of arrival."""

from typing import Any

import torch
from arrivals import compare, joined
from common import answer, read_tensors, update_path, weight_of
from nvflare.app_common.aggregators.weighted_aggregation_helper import WeightedAggregationHelper


def work(folder: str, updates: int, orders: int) -> dict[str, Any]:
    """The running mean of torch tensors, added in their order of arrival."""
    replies = [
        {name: torch.from_numpy(one) for name, one in read_tensors(update_path(folder, number)).items()}
        for number in range(updates)
    ]

    def aggregate(order: Any) -> Any:
        helper = WeightedAggregationHelper()
        for number in order:
            helper.add(replies[number], weight_of(number), f"site-{number}", 1)
        return joined({name: tensor.numpy() for name, tensor in helper.get_result().items()})

    return compare(aggregate, updates, orders)


if __name__ == "__main__":
    answer(work)
