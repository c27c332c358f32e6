"""Changes in 8 bits: every block of numbers shares a scale, and each number is a whole multiple of it."""

import numpy as np

from atlas.aggregation.compression.codec import Change, Codec, PartReader, Parts
from atlas.aggregation.compression.settings import CompressionSpec


def _most(size: int, spec: CompressionSpec) -> dict[str, int]:
    return {"scales": _blocks(size, spec.block_size), "values": size}


def _blocks(size: int, block_size: int) -> int:
    return -(-size // block_size)


def encode(change: Change, spec: CompressionSpec) -> Parts:
    """Per block: scale = `scale_of(max|δ|)`, value = δ / scale, to the nearest integer."""
    starts = np.arange(0, change.size, spec.block_size)
    scales = scale_of(np.maximum.reduceat(np.abs(change), starts))
    return {"scales": scales, "values": quantize(change, spread(scales, change.size, spec.block_size))}


def decode(reader: PartReader, size: int, spec: CompressionSpec) -> Change:
    """Value · scale in float32."""
    scales = reader.finite("scales", _blocks(size, spec.block_size))
    return reader.take("values", size).astype(np.float32) * spread(scales, size, spec.block_size)


def scale_of(peaks: Change) -> Change:
    """The scale for a largest |δ| of `peaks`: peak / 127, rounded up to 17 significant bits.

    With this few bits, value · scale is exact in float32, so that re-encoding a decoded change reproduces it.
    """
    bits = (peaks.astype(np.float64) / 127).astype(np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7F)) & np.uint32(0xFFFFFF80)).view(np.float32)


def spread(scales: Change, size: int, block_size: int) -> Change:
    """Each number's scale."""
    return np.repeat(scales, block_size)[:size]


def quantize(change: Change, scales: Change) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    """The nearest multiple of each number's scale, from -127 to 127; 0 where the scale is 0."""
    divisors = np.where(scales > 0, scales, np.float32(np.inf)).astype(np.float64)
    return np.clip(np.rint(change / divisors), -127, 127).astype(np.int8)


INT8 = Codec(
    name="int8",
    summary="8 bits a number, with a float32 scale for every block",
    parts={"scales": "F32", "values": "I8"},
    most=_most,
    encode=encode,
    decode=decode,
)
