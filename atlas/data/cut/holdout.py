"""How many rows of each stratum are held out, and the rank of a row in the draw."""

import hashlib
from collections.abc import Mapping


def holdout_rank(seed: int, ordinal: int, line: bytes) -> int:
    """A row's 64-bit rank in the draw, a hash of its content and its position in its stratum; lowest are held out."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{ordinal}:".encode() + line).digest()[:8], "big")


def allot_holdout(sizes: Mapping[str, int], wanted: int) -> dict[str, int]:
    """Split `wanted` rows over strata in proportion to their sizes, by largest remainder.

    Each stratum keeps at least one row, so the sum is below `wanted` if the strata are too small. Source: A. Hamilton's
    method of apportionment.
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
