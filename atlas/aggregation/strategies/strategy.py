"""What a strategy is: which factors a round trains, and how the updates become the round's adapter."""

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
    """In shard order; each holds the tensors that the round trained, at its own rank where ranks are mixed: what an
    update lacks to the base's rank is the base's."""
    coefficients: tuple[float, ...]
    """One per update, not negative, with a sum of at most one; what is missing to one is the base's share."""
    scaling: float
    """alpha / rank: what a product of factors counts in the model. The same for all ranks."""
    seed: str
    """Seeds whatever a strategy draws; another one in every round."""


@dataclass(frozen=True)
class Combined:
    """What a strategy made."""

    adapter: Path
    """The whole adapter of the next round, with the tensors and shapes of the base's."""
    merged: Path | None = None
    """Low-rank factors that join the base model's own weights, for strategies that need it: `MODULE.lora_A.weight`
    (k x in) and `MODULE.lora_B.weight` (out x k), whose product B·A, scaling included, is added to the weight. For an
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
    """Whether it treats each number of an adapter by itself, as outer optimizers and the median need it."""
    mixed_ranks: bool = False
    """Whether updates of one round may have different ranks."""
    portable: bool = True
    """Whether its bytes are the same on every machine; else only where LAPACK runs the same kernels."""
    frozen: tuple[Factor | None, ...] = (None,)
    """The LoRA factor that nodes leave as it is and do not send, in round 1, 2, ..., and then again from the first.

    A stands for the factor that the seed drew, B for the one that started at zero; an embedding's are called the other
    way round (`role_of`)."""

    def frozen_factor(self, round_: int) -> Factor | None:
        """The factor that the nodes leave as it is in this round (from 1)."""
        return self.frozen[(round_ - 1) % len(self.frozen)]
