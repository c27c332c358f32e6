"""The codecs by name."""

from atlas.aggregation.compression.codec import Codec
from atlas.aggregation.compression.half import BF16, FP16
from atlas.aggregation.compression.int8 import INT8
from atlas.aggregation.compression.top_k import TOP_K

CODECS: dict[str, Codec] = {codec.name: codec for codec in (FP16, BF16, INT8, TOP_K)}
