"""The interface of strategies: which factors a round trains, and how the updates become the round's adapter."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from atlas.aggregation.files.factors import Factor


@dataclass(frozen=True)
class Combination:
    """The files that a strategy combines: the result stands for base + Σ cᵢ·(updateᵢ - base)."""

    base: Path
    """The whole adapter that the round started from."""
    updates: tuple[Path, ...]
    """In shard order; each holds the tensors that the round trained. With mixed ranks, an update of a lower rank is
    completed from the base."""
    coefficients: tuple[float, ...]
    """One per update, not negative, with a sum of at most one; the base has the remaining share."""
    scaling: float
    """alpha / rank: the factor of a product B·A in the model. The same for all ranks."""
    seed: str
    """Seed of the strategy's random draws; different in every round."""


@dataclass(frozen=True)
class Combined:
    """The output of a strategy."""

    adapter: Path
    """The whole adapter of the next round, with the tensors and shapes of the base's."""
    merged: Path | None = None
    """Low-rank factors to merge into the base model's weights, for strategies that need this: `MODULE.lora_A.weight` (k
    x in) and `MODULE.lora_B.weight` (out x k), whose product B·A, scaling included, is added to the weight. For an
    embedding `MODULE.lora_embedding_A` and `MODULE.lora_embedding_B`, whose product is added transposed."""


@dataclass(frozen=True)
class Strategy:
    """One way to turn the updates of a round into an adapter."""

    name: str
    summary: str
    """One line for help texts and tables."""
    combine: Callable[[Combination, Path], Combined]
    """Write the result into the given folder. The bytes depend on the combination alone."""
    flat: bool = False
    """Whether it works elementwise, which outer optimizers and the median require."""
    mixed_ranks: bool = False
    """Whether updates of one round may have different ranks."""
    portable: bool = True
    """Whether its bytes are the same on every machine; if False, only on machines with the same LAPACK kernels."""
    frozen: tuple[Factor | None, ...] = (None,)
    """The LoRA factor that nodes neither train nor send, in round 1, 2, ..., repeated cyclically. A stands for the
    factor that the seed drew, B for the one that started at zero; for an embedding the names are reversed
    (`role_of`)."""

    def frozen_factor(self, round_: int) -> Factor | None:
        """The factor that nodes do not train in this round (counted from 1)."""
        return self.frozen[(round_ - 1) % len(self.frozen)]
