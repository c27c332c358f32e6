"""The names that peft gives to LoRA factors, and what each factor is: the only place that knows the kinds of layers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from atlas.errors import AggregationError

Factor = Literal["A", "B"]


@dataclass(frozen=True)
class LayerKind:
    """How the names of the factors of one kind of layer end; A is always rank x in and B out x rank."""

    a: str
    b: str
    drawn: Factor
    """The factor that a fresh adapter draws; the other one starts at zero."""


LINEAR = LayerKind(a=".lora_A.weight", b=".lora_B.weight", drawn="A")
EMBEDDING = LayerKind(a=".lora_embedding_A", b=".lora_embedding_B", drawn="B")
"""Its weight (in x out, a row per token) changes by the transposed product."""
KINDS = (LINEAR, EMBEDDING)


@dataclass(frozen=True)
class LoraModule:
    """A module that has LoRA factors."""

    name: str
    kind: LayerKind

    @property
    def a(self) -> str:
        """The name of its A (rank x in)."""
        return self.name + self.kind.a

    @property
    def b(self) -> str:
        """The name of its B (out x rank)."""
        return self.name + self.kind.b


def factor_of(name: str) -> Factor | None:
    """Which LoRA factor a tensor is: A (rank x in) or B (out x rank); None for an ordinary tensor.

    Raises `AggregationError` for a part of an adapter that is neither, such as the magnitudes of DoRA: averaging it as
    an ordinary tensor would give a wrong result that nobody sees.
    """
    found = _find(name)
    return None if found is None else found[1]


def role_of(name: str) -> Factor | None:
    """Which factor a tensor is for a strategy that freezes one: A the drawn one, B the one that starts at zero.

    An embedding's are the other way round than their names: with its A, which starts at zero, frozen, it would never
    learn. Raises as `factor_of` does.
    """
    found = _find(name)
    if found is None:
        return None
    kind, factor = found
    return "A" if factor == kind.drawn else "B"


def lora_modules(names: Iterable[str]) -> list[LoraModule]:
    """The modules that have a LoRA factor among these tensors, sorted by name; raises as `factor_of` does."""
    found = {}
    for name in names:
        match = _find(name)
        if match is not None:
            kind, factor = match
            module = name.removesuffix(kind.a if factor == "A" else kind.b)
            found[module] = LoraModule(module, kind)
    return [found[module] for module in sorted(found)]


def _find(name: str) -> tuple[LayerKind, Factor] | None:
    for kind in KINDS:
        if name.endswith(kind.a):
            return kind, "A"
        if name.endswith(kind.b):
            return kind, "B"
    if ".lora_" in name:
        raise AggregationError(
            f"The adapter's tensor {name} belongs to LoRA, but is no factor A or B of a linear layer or an embedding; "
            "no rule knows how to aggregate it. Choose other lora.target_modules."
        )
    return None
