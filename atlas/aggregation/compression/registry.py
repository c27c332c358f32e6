"""The codecs by name."""

from typing import TYPE_CHECKING

from atlas.registry import Registry

if TYPE_CHECKING:
    from atlas.aggregation.compression.codec import Codec

_HERE = "atlas.aggregation.compression"
CODECS: "Registry[Codec]" = Registry(
    {
        "fp16": f"{_HERE}.half:FP16",
        "bf16": f"{_HERE}.half:BF16",
        "int8": f"{_HERE}.int8:INT8",
        "top-k": f"{_HERE}.top_k:TOP_K",
    }
)
