"""The interface of codecs: encode one tensor's change into parts, and decode the parts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.compression.settings import CompressionSpec
from atlas.errors import AggregationError

Change = NDArray[np.float32]
"""A tensor's change, flat."""
Parts = dict[str, NDArray[Any]]


class PartReader:
    """Reads the parts of a file, which hold one tensor after the other; the input is untrusted."""

    def __init__(self, parts: Mapping[str, NDArray[Any]]) -> None:
        self.tensor = ""
        """The tensor that is being read, for messages."""
        self._left = dict(parts)

    def peek(self, part: str, count: int) -> NDArray[Any]:
        """The next `count` numbers of a part, or as many as there are."""
        return self._left[part][:count]

    def take(self, part: str, count: int) -> NDArray[Any]:
        """The next `count` numbers of a part; raises `AggregationError` when there are fewer."""
        taken = self.peek(part, count)
        if len(taken) < count:
            raise self.error(f"expected {count} more numbers in the part {part!r}, found {len(taken)}")
        self._left[part] = self._left[part][count:]
        return taken

    def finite(self, part: str, count: int) -> NDArray[np.float32]:
        """As `take`, in float32; raises `AggregationError` for NaN and infinity, too."""
        taken = self.take(part, count).astype(np.float32)
        if not np.isfinite(taken).all():
            raise self.error(f"the part {part!r} holds NaN or infinity")
        return taken

    def left(self) -> dict[str, int]:
        """The count of unread numbers per part, for parts that have any."""
        return {part: len(numbers) for part, numbers in sorted(self._left.items()) if len(numbers)}

    def error(self, reason: str) -> AggregationError:
        """What to raise when the current tensor cannot be read."""
        return AggregationError(f"The encoded update's {self.tensor} cannot be decoded: {reason}.")


@dataclass(frozen=True)
class Codec:
    """One encoding of changes. All functions are pure, elementwise or on integers, and so the same on every machine."""

    name: str
    summary: str
    """One line for help texts and tables."""
    parts: Mapping[str, str]
    """The parts of a file, each with its safetensors dtype."""
    most: Callable[[int, CompressionSpec], Mapping[str, int]]
    """The most numbers that each part holds for a tensor of the given size."""
    encode: Callable[[Change, CompressionSpec], Parts]
    """Raises `AggregationError` for a change that the codec cannot hold."""
    decode: Callable[[PartReader, int, CompressionSpec], Change]
    """The next tensor's change, of the given size. Raises `AggregationError` for parts that no encoder writes."""
    error_feedback: bool = False
    """Whether the node keeps the unsent part of a change and adds it to the next change."""
