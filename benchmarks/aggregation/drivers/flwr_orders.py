"""Flower's results under many orders of arrival."""

from typing import Any

from arrivals import compare, joined
from common import answer
from flwr.serverapp.strategy.strategy_utils import aggregate_arrayrecords
from flwr_records import records


def work(folder: str, updates: int, orders: int) -> dict[str, Any]:
    """The weighted mean of the replies, in their order of arrival."""
    replies = records(folder, updates)

    def aggregate(order: Any) -> Any:
        found = aggregate_arrayrecords([replies[number] for number in order], "num-examples")
        return joined({name: array.numpy() for name, array in found.items()})

    return compare(aggregate, updates, orders)


if __name__ == "__main__":
    answer(work)
