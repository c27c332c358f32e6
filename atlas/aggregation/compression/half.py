"""Changes in 16 bits: IEEE half precision (11 significant bits, up to 65504) and bfloat16 (8 bits, float32's range)."""

import numpy as np

from atlas.aggregation.compression.codec import Change, Codec, PartReader, Parts
from atlas.aggregation.compression.settings import CompressionSpec
from atlas.errors import AggregationError


def _most(size: int, spec: CompressionSpec) -> dict[str, int]:
    return {"values": size}


def encode_fp16(change: Change, spec: CompressionSpec) -> Parts:
    """Round to the nearest half-precision number, ties to even."""
    with np.errstate(over="ignore"):
        values = change.astype(np.float16)
    if not np.isfinite(values).all():
        raise AggregationError(f"fp16 holds changes up to 65504, found {np.abs(change).max():g}; choose bf16.")
    return {"values": values}


def decode_fp16(reader: PartReader, size: int, spec: CompressionSpec) -> Change:
    """The numbers as float32."""
    return reader.finite("values", size)


def encode_bf16(change: Change, spec: CompressionSpec) -> Parts:
    """Round to the nearest bfloat16, ties to even: the upper 16 of float32's 32 bits."""
    bits = change.view(np.uint32)
    values = ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)
    if not np.isfinite(_bf16_numbers(values)).all():
        raise AggregationError(f"bf16 holds changes up to 3.39e38, found {np.abs(change).max():g}.")
    return {"values": values}


def decode_bf16(reader: PartReader, size: int, spec: CompressionSpec) -> Change:
    """The numbers as float32."""
    change = _bf16_numbers(reader.take("values", size))
    if not np.isfinite(change).all():
        raise reader.error("the part 'values' holds NaN or infinity")
    return change


def _bf16_numbers(values: np.ndarray[tuple[int, ...], np.dtype[np.uint16]]) -> Change:
    return (values.astype(np.uint32) << 16).view(np.float32)


FP16 = Codec(
    name="fp16",
    summary="half precision, 2 bytes a number",
    parts={"values": "F16"},
    most=_most,
    encode=encode_fp16,
    decode=decode_fp16,
)
BF16 = Codec(
    name="bf16",
    summary="bfloat16, 2 bytes a number",
    parts={"values": "U16"},
    most=_most,
    encode=encode_bf16,
    decode=decode_bf16,
)
