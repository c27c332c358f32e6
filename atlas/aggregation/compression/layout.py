"""The part of its base that an update covers: possibly a lower rank, possibly without A or B."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from atlas.aggregation.files.factors import Factor, factor_of, role_of
from atlas.errors import AggregationError

Shapes = Mapping[str, tuple[int, ...]]
_TEXT = re.compile(r"rank=(base|[1-9][0-9]{0,8}) frozen=(none|A|B)")
_RANK_AXIS: Mapping[Factor, int] = {"A": 0, "B": 1}


@dataclass(frozen=True)
class UpdateLayout:
    """The part of its base that an update covers."""

    rank: int | None = None
    """Rows of each A and columns of each B; None for the base's rank."""
    frozen: Factor | None = None
    """The factor that the update omits, as a role (`role_of`)."""

    @classmethod
    def of(cls, update: Shapes, base: Shapes) -> Self:
        """The layout of an update; raises `AggregationError` when the update is not such a part of the base."""
        layout = cls(_lower_rank(update, base), _missing_factor(update, base))
        expected = layout.shapes(base)
        for name in sorted(expected.keys() | update.keys()):
            if expected.get(name) != update.get(name):
                raise AggregationError(
                    f"The update's {name} does not fit its base: expected {_describe(expected.get(name))}, found "
                    f"{_describe(update.get(name))}."
                )
        return layout

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the text form that `str` returns; raises `AggregationError` for any other text."""
        match = _TEXT.fullmatch(text)
        if not match:
            raise AggregationError(f"An update's layout reads like 'rank=base frozen=none', found {text[:80]!r}.")
        rank, frozen = match.groups()
        factors: Mapping[str, Factor | None] = {"A": "A", "B": "B", "none": None}
        return cls(None if rank == "base" else int(rank), factors[frozen])

    def __str__(self) -> str:
        return f"rank={self.rank or 'base'} frozen={self.frozen or 'none'}"

    def shapes(self, base: Shapes) -> dict[str, tuple[int, ...]]:
        """The tensors of an update, in order of name; raises `AggregationError` when its rank exceeds the base's."""
        return {
            name: self._shape(name, base[name])
            for name in sorted(base)
            if self.frozen is None or role_of(name) != self.frozen
        }

    def _shape(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        factor = factor_of(name)
        if factor is None or self.rank is None:
            return shape
        axis = _RANK_AXIS[factor]
        if self.rank > shape[axis]:
            raise AggregationError(f"The update's {name} has rank {self.rank}; its base has rank {shape[axis]}.")
        return (*shape[:axis], self.rank, *shape[axis + 1 :])


def _missing_factor(update: Shapes, base: Shapes) -> Factor | None:
    missing = {role_of(name) for name in base.keys() - update.keys()} - {role_of(name) for name in update}
    return missing.pop() if len(missing) == 1 else None


def _lower_rank(update: Shapes, base: Shapes) -> int | None:
    for name in sorted(base.keys() & update.keys()):
        factor = factor_of(name)
        if factor is not None and len(update[name]) == len(base[name]) and update[name] != base[name]:
            return max(1, update[name][_RANK_AXIS[factor]])
    return None


def _describe(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else f"F32 {list(shape)}"
