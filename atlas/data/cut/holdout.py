"""How many rows of each stratum are held out, and the number that a row has in the draw."""

import hashlib
from collections.abc import Mapping


def holdout_rank(seed: int, ordinal: int, line: bytes) -> int:
    """A row's number in the draw, by its content and its place within its stratum; the lowest are held out."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{ordinal}:".encode() + line).digest()[:8], "big")


def allot_holdout(sizes: Mapping[str, int], wanted: int) -> dict[str, int]:
    """Split `wanted` rows over strata in proportion to their sizes, by largest remainder; each keeps a row or more.

    Takes fewer when the strata have not that many rows to spare. Source: A. Hamilton's method of apportionment.
    """
    total = sum(sizes.values())
    wanted = min(wanted, total - len(sizes))
    quotas = {name: min(wanted * size // total, size - 1) for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (-(wanted * sizes[name] % total), name))
    missing = wanted - sum(quotas.values())
    while missing:
        for name in by_remainder:
            if missing and quotas[name] < sizes[name] - 1:
                quotas[name] += 1
                missing -= 1
    return quotas
