"""The names and roles of peft's LoRA factors. Only this module depends on the kinds of layers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from atlas.errors import AggregationError

Factor = Literal["A", "B"]


@dataclass(frozen=True)
class LayerKind:
    """The suffixes of the factor names of one kind of layer; A is always rank x in, and B is out x rank."""

    a: str
    b: str
    drawn: Factor
    """The factor that is drawn at random in a new adapter; the other one starts at zero."""


LINEAR = LayerKind(a=".lora_A.weight", b=".lora_B.weight", drawn="A")
EMBEDDING = LayerKind(a=".lora_embedding_A", b=".lora_embedding_B", drawn="B")
"""The transposed product is added to its weight (in x out, one row per token)."""
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

    Raises `AggregationError` for other adapter tensors, such as the magnitudes of DoRA: averaging these as ordinary
    tensors would silently give a wrong result.
    """
    found = _find(name)
    return None if found is None else found[1]


def role_of(name: str) -> Factor | None:
    """The role of a tensor for strategies that freeze a factor: A is the drawn factor, B the one that starts at zero.

    An embedding's roles are the reverse of its names: its A starts at zero, and freezing it would prevent training.
    Raises as `factor_of` does.
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
            f"The adapter's tensor {name} belongs to LoRA, but is not a factor A or B of a linear layer or an "
            "embedding, so it cannot be aggregated. Choose other lora.target_modules."
        )
    return None
