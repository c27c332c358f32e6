"""Count sketches: reduce a change of millions of numbers to 4096 numbers, and approximately preserve cosines."""

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

WIDTH = 4096


class Sketch:
    """Adds up the blocks of a change, each with a random sign (Charikar et al., ICALP 2002, with one row).

    Only sketches with the same seed and the same lengths of parts can be compared. The cosine of two sketches estimates
    that of the changes with an error of about 1/64, less for near-copies. An attacker who knows the seed can construct
    a change with a misleading sketch, so a similar sketch is a suspicion, not a proof.
    """

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._blocks = 0
        self._sums: NDArray[np.float32] = np.zeros(WIDTH, np.float32)

    def add(self, part: NDArray[np.float32]) -> None:
        """Add the next numbers of a change; a remainder of less than 4096 numbers forms a separate block."""
        whole = len(part) // WIDTH
        rest = part[whole * WIDTH :]
        signs = _signs(self._seed, self._blocks, whole + (len(rest) > 0))
        self._blocks += len(signs)
        if whole:
            self._sums += signs[:whole] @ part[: whole * WIDTH].reshape(whole, WIDTH)
        if len(rest):
            self._sums[: len(rest)] += signs[-1] * rest

    def direction(self) -> NDArray[np.float32]:
        """The sketch normalized to length one; zeros for a zero change."""
        length = float(np.sqrt(np.sum(np.square(self._sums, dtype=np.float64))))
        return (self._sums / length).astype(np.float32) if length > 0 else self._sums.copy()


def likeness(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """The approximate cosine of two changes, from the directions of their sketches."""
    return float(np.dot(first, second))


@lru_cache(maxsize=4096)  # the same blocks of the next update get the same signs
def _signs(seed: str, start: int, count: int) -> NDArray[np.float32]:
    pages = range(start // 256, (start + count) // 256 + 1)
    signs = np.concatenate([_page(seed, page) for page in pages])
    return signs[start % 256 : start % 256 + count]


def _page(seed: str, page: int) -> NDArray[np.float32]:
    bits = np.frombuffer(hashlib.sha256(f"{seed}:{page}".encode()).digest(), np.uint8)
    return np.unpackbits(bits).astype(np.float32) * 2 - 1
