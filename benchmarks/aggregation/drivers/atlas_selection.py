"""Which updates this project's multi-krum averages."""

from typing import Any

from atlas_files import round_inputs
from common import answer

from atlas.aggregation.coefficients import coefficients_of


def work(folder: str, updates: int, false: int) -> dict[str, Any]:
    """The numbers of the updates with a coefficient above zero."""
    inputs = round_inputs(folder, updates, {"robust": {"rule": "multi-krum", "tolerated": false / updates}})
    return {"chosen": [number for number, share in enumerate(coefficients_of(inputs)) if share > 0]}


if __name__ == "__main__":
    answer(work)
