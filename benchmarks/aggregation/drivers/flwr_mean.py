"""Flower's weighted mean over replies in memory: the current function, and the two of its older interface."""

from typing import Any

import numpy as np
from common import Meter, answer, read_tensors, update_path, weight_of
from flwr.common import Code, FitRes, Parameters, Status, ndarrays_to_parameters
from flwr.server.client_proxy import ClientProxy
from flwr.server.strategy.aggregate import aggregate, aggregate_inplace
from flwr.serverapp.strategy.strategy_utils import aggregate_arrayrecords
from flwr_records import records


def _arrays(folder: str, number: int) -> list[np.ndarray]:
    return list(read_tensors(update_path(folder, number)).values())


def _reply(folder: str, number: int) -> tuple[ClientProxy | None, FitRes]:
    parameters: Parameters = ndarrays_to_parameters(_arrays(folder, number))
    return None, FitRes(Status(Code.OK, ""), parameters, weight_of(number), {})


def work(folder: str, updates: int, call: str) -> dict[str, Any]:
    """Average with `aggregate_arrayrecords`, `aggregate` or `aggregate_inplace`."""
    meter = Meter()
    if call == "aggregate_arrayrecords":
        replies = records(folder, updates)
        with meter.work():
            aggregate_arrayrecords(replies, "num-examples")
    elif call == "aggregate":
        pairs = [(_arrays(folder, number), weight_of(number)) for number in range(updates)]
        with meter.work():
            aggregate(pairs)
    else:
        results = [_reply(folder, number) for number in range(updates)]
        with meter.work():
            aggregate_inplace(results)
    return meter.report()


if __name__ == "__main__":
    answer(work)
