"""The settings of outer optimizers."""

from typing import Any

from pydantic import Field, model_validator

from atlas.documents.document import Value


class OuterSpec(Value):
    """How far a round's aggregate moves the adapter. A bare name stands for the optimizer with its defaults."""

    optimizer: str = Field(default="none", description="none, nesterov, adam or yogi")
    learning_rate: float | None = Field(
        default=None, gt=0, description="null for the optimizer's default: nesterov 0.7, adam and yogi 0.01"
    )
    momentum: float = Field(
        default=0.9, ge=0, lt=1, description="momentum of nesterov, and the first beta of adam and yogi"
    )
    second_momentum: float = Field(default=0.99, ge=0, lt=1, description="the second beta of adam and yogi")
    adaptivity: float = Field(default=1e-3, gt=0, description="term that adam and yogi add to the root in the divisor")

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, raw: Any) -> Any:
        return {"optimizer": raw} if isinstance(raw, str) else raw
