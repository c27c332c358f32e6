"""Flower's robust strategies over replies in memory."""

from typing import Any

from common import Meter, answer
from flwr.serverapp.strategy import FedMedian, FedTrimmedAvg, MultiKrum
from flwr_records import messages, records


def strategy(rule: str, updates: int, false: int) -> FedMedian | FedTrimmedAvg | MultiKrum:
    """The strategy, set to tolerate `false` false updates."""
    if rule == "median":
        return FedMedian()
    if rule == "trimmed-mean":
        return FedTrimmedAvg(beta=false / updates)
    return MultiKrum(num_malicious_nodes=false, num_nodes_to_select=updates - false)


def work(folder: str, updates: int, rule: str, false: int) -> dict[str, Any]:
    """Aggregate one round."""
    meter = Meter()
    replies = messages(records(folder, updates))
    chosen = strategy(rule, updates, false)
    with meter.work():
        chosen.aggregate_train(1, replies)
    return meter.report()


if __name__ == "__main__":
    answer(work)
