"""The settings of robust rules."""

import math
from typing import Any, Self

from pydantic import Field, model_validator

from atlas.documents.document import Value


class RobustSpec(Value):
    """The robust rule of a round and its settings. A bare name stands for the rule with its defaults."""

    rule: str = Field(
        default="auto",
        description="none, spectral-filter, centered-clipping, trimmed-mean, median, multi-krum or fltrust; auto: "
        "spectral-filter, or none if fleet.trusted is true",
    )
    tolerated: float = Field(
        default=0.3,
        ge=0,
        lt=0.5,
        description="share of updates that may be false: trimmed-mean and multi-krum leave out this share; the "
        "others limit the weight of this share of the shards",
    )
    bucket_size: int = Field(
        default=1,
        gt=0,
        le=1000,
        description="updates that are averaged before the rule sees them; bucket_size x tolerated must be below 0.5",
    )
    clip_factor: float = Field(
        default=1.0, gt=0, description="centered-clipping: the radius, in medians of the updates' distances"
    )
    passes: int = Field(default=10, gt=0, le=1000, description="centered-clipping: how often the centre is moved")
    reference_rows: int = Field(
        default=200, gt=0, lt=2**53, description="fltrust: rows that the coordinator keeps and trains on itself"
    )

    def false_among(self, updates: int) -> int:
        """The number of `updates` that may be false."""
        return math.floor(self.tolerated * updates + 1e-9)  # 0.29 x 100 is 28.999999999999996

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, raw: Any) -> Any:
        return {"rule": raw} if isinstance(raw, str) else raw

    @model_validator(mode="after")
    def _most_buckets_are_true(self) -> Self:
        if self.bucket_size > 1 and self.tolerated * self.bucket_size >= 0.5:
            raise ValueError(
                f"bucket_size: one false update makes its bucket false, so most buckets of {self.bucket_size} with "
                f"tolerated {self.tolerated} may be false; lower tolerated below {0.5 / self.bucket_size:.3g} or the "
                "bucket_size"
            )
        return self
