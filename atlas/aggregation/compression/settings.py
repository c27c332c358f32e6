"""The settings of codecs."""

from typing import Any

from pydantic import Field, model_validator

from atlas.documents.document import Value


class CompressionSpec(Value):
    """Compression of updates. A bare name stands for the codec with its defaults."""

    codec: str = Field(default="none", description="none, fp16, bf16, int8 or top-k")
    block_size: int = Field(default=256, gt=0, le=65536, description="int8: numbers that share one scale")
    density: float = Field(default=0.05, gt=0, le=1, description="top-k: share of the numbers that is sent")

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, raw: Any) -> Any:
        return {"codec": raw} if isinstance(raw, str) else raw
