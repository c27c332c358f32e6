"""How the rows are spread over nodes."""

import numpy as np

from benchmarks.aggregation.federated.sentiment import LABELS, Shard, Task, label_of, lines

FEWEST_ROWS = 100


def split(task: Task, kind: str, shards: int = 4, concentration: float = 0.3) -> list[Shard]:
    """`spec`: the spec's shards; `mixed`: their rows, shuffled; `dirichlet`: different label shares for each shard.

    Source of the last: Hsu et al., arXiv:1909.06335.
    """
    if kind == "spec":
        return task.shards
    draw = np.random.default_rng(task.seed)
    rows = [line for shard in task.shards[: shards if kind == "mixed" else None] for line in lines(shard)]
    if kind == "mixed":
        order = draw.permutation(len(rows))
        return [
            task.shard_of(
                f"s{number:03d}", [rows[place] for place in order[number::shards]], f"{kind}-{shards}-{task.seed}"
            )
            for number in range(shards)
        ]
    while True:
        parts: list[list[bytes]] = [[] for _ in range(shards)]
        for label in LABELS:
            found = [line for line in rows if label_of(line) == label]
            order = draw.permutation(len(found))
            cuts = (np.cumsum(draw.dirichlet([concentration] * shards))[:-1] * len(found)).astype(int)
            for part, places in zip(parts, np.split(order, cuts), strict=True):
                part += [found[place] for place in sorted(places)]
        if min(len(part) for part in parts) >= FEWEST_ROWS:
            folder = f"{kind}-{concentration:g}-{shards}-{task.seed}"
            return [task.shard_of(f"s{number:03d}", part, folder) for number, part in enumerate(parts)]
