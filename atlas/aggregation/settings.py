"""The aggregation settings of a job spec."""

from collections.abc import Iterable
from typing import Self

from pydantic import Field, field_validator, model_validator

from atlas.aggregation.compression.registry import CODECS
from atlas.aggregation.compression.settings import CompressionSpec
from atlas.aggregation.outer.registry import OPTIMIZERS
from atlas.aggregation.outer.settings import OuterSpec
from atlas.aggregation.robust.registry import RULES
from atlas.aggregation.robust.settings import RobustSpec
from atlas.aggregation.strategies.registry import STRATEGIES
from atlas.aggregation.strategies.strategy import Strategy
from atlas.documents.document import Value
from atlas.suggestions import suggest


class GateSpec(Value):
    """The limits of the gates."""

    largest_norm: float = Field(default=5.0, gt=1, description="length of an update's change, in the round's medians")
    copy_cosine: float = Field(
        default=0.99, gt=0, le=1, description="updates of two nodes that are more alike than this count as copies"
    )


class AggregationSpec(Value):
    """How updates become a checkpoint."""

    strategy: str = Field(default="fedavg", description="fedavg, ffa, rolora, stack, qr-svd or fedex")
    quorum: float = Field(default=0.5, gt=0, le=1, description="share of shards that must deliver")
    robust: RobustSpec = RobustSpec()
    outer: OuterSpec = OuterSpec()
    compression: CompressionSpec = CompressionSpec()
    gates: GateSpec = GateSpec()

    @property
    def method(self) -> Strategy:
        """The strategy itself."""
        return STRATEGIES[self.strategy]

    @property
    def by_columns(self) -> bool:
        """Whether the robust rule computes one value for each column of the updates, and no coefficients."""
        rule = RULES.get(self.robust.rule)
        return rule is not None and rule.columns is not None

    @property
    def uses_geometry(self) -> bool:
        """Whether the robust rule computes coefficients from the geometry of the updates."""
        return self.robust.rule in RULES and not self.by_columns

    @field_validator("strategy")
    @classmethod
    def _known_strategy(cls, strategy: str) -> str:
        return _known(strategy, STRATEGIES)

    @field_validator("robust")
    @classmethod
    def _known_rule(cls, robust: RobustSpec) -> RobustSpec:
        _known(robust.rule, ["auto", "none", *RULES])
        return robust

    @field_validator("outer")
    @classmethod
    def _known_optimizer(cls, outer: OuterSpec) -> OuterSpec:
        _known(outer.optimizer, ["none", *OPTIMIZERS])
        return outer

    @field_validator("compression")
    @classmethod
    def _known_codec(cls, compression: CompressionSpec) -> CompressionSpec:
        _known(compression.codec, ["none", *CODECS])
        return compression

    @model_validator(mode="after")
    def _parts_fit_the_strategy(self) -> Self:
        chosen = (self.robust.rule, self.outer.optimizer, self.compression.codec)
        # Loading a strategy imports numpy; avoid that cost when a spec uses only the defaults.
        if any(name not in ("auto", "none") for name in chosen) and not self.method.flat:
            self._refuse_what_needs_a_flat_strategy()
        return self

    def _refuse_what_needs_a_flat_strategy(self) -> None:
        flat = ", ".join(name for name, strategy in STRATEGIES.items() if strategy.flat)
        if self.by_columns:
            raise ValueError(
                f"robust.rule {self.robust.rule} works number by number, which needs the strategy {flat}, found "
                f"{self.strategy}; choose another rule, such as centered-clipping"
            )
        if self.outer.optimizer != "none":
            raise ValueError(
                f"outer.optimizer {self.outer.optimizer} moves single numbers, which needs the strategy {flat}, found "
                f"{self.strategy}, whose factors change their meaning in every round"
            )
        codec = CODECS.get(self.compression.codec)
        if codec is not None and codec.error_feedback:
            raise ValueError(
                f"compression.codec {self.compression.codec} adds the unsent part of an update to the next one, which "
                f"needs the strategy {flat}, found {self.strategy}; choose another codec, such as int8"
            )


def _known(name: str, names: Iterable[str]) -> str:
    if name not in names:
        raise ValueError(f"expected one of {', '.join(names)}, found {name!r}.{suggest(name, names)}".removesuffix("."))
    return name
