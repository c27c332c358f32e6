"""The updates that Multi-Krum must average, by distances that are computed from differences in float64."""

from typing import Any

import numpy as np
from common import answer, read_tensors, update_path


def work(folder: str, updates: int, false: int) -> dict[str, Any]:
    """The `updates - false` updates with the lowest sum of squared distances to their `updates - false - 2` nearest."""
    files = [read_tensors(update_path(folder, number)) for number in range(updates)]
    rows = [np.concatenate([one.ravel() for one in file.values()]) for file in files]
    distances = np.zeros((updates, updates))
    for i in range(updates):
        for j in range(i):
            difference = rows[i].astype(np.float64) - rows[j]
            distances[i, j] = distances[j, i] = difference @ difference
    nearest = np.sort(distances, axis=1)[:, 1 : updates - false - 1]
    scores = nearest.sum(axis=1)
    chosen = np.argsort(scores, kind="stable")[: updates - false]
    return {"chosen": sorted(chosen.tolist()), "smallest": float(distances[distances > 0].min())}


if __name__ == "__main__":
    answer(work)
