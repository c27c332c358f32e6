"""Which updates Flower's MultiKrum averages."""

from typing import Any

from common import answer
from flwr.serverapp.strategy.multikrum import select_multikrum
from flwr_records import records


def work(folder: str, updates: int, false: int) -> dict[str, Any]:
    """The numbers of the chosen updates."""
    contents = records(folder, updates)
    number_of = {id(content): number for number, content in enumerate(contents)}
    chosen = select_multikrum(contents, num_malicious_nodes=false, num_nodes_to_select=updates - false)
    return {"chosen": sorted(number_of[id(content)] for content in chosen)}


if __name__ == "__main__":
    answer(work)
