"""Whether the files of a round fit each other, where strategies multiply factors."""

from collections.abc import Sequence
from dataclasses import dataclass

from atlas.aggregation.adapter_files import AdapterFile, a_name, b_name, lora_modules
from atlas.errors import AggregationError


@dataclass(frozen=True)
class Module:
    """A module of the base model that the adapter changes."""

    name: str
    out: int
    rank: int
    in_: int


def modules_of(base: AdapterFile) -> list[Module]:
    """The base's modules; raises `AggregationError` unless each has both factors, and they fit each other."""
    return [_module(base, name) for name in lora_modules(base.tensors)]


def check_update(update: AdapterFile, base: AdapterFile, modules: Sequence[Module]) -> None:
    """Raises `AggregationError` unless an update has all that the base has, at one rank per module.

    Its shapes have been checked against the base's.
    """
    missing = sorted(base.tensors.keys() - update.tensors.keys())
    if missing:
        raise AggregationError(
            f"{update.path.name} lacks {missing[0]}, which the base has; an update of this strategy holds all "
            f"{len(base.tensors)} tensors, with both factors of each module."
        )
    for module in modules:
        a, b = (update.tensors[name].shape for name in (a_name(module.name), b_name(module.name)))
        if a[0] != b[1]:
            raise AggregationError(
                f"{update.path.name}: {module.name} has A {list(a)} and B {list(b)}, expected one rank in both; "
                "train the shard again from the round's base."
            )


def _module(base: AdapterFile, name: str) -> Module:
    for factor in (a_name(name), b_name(name)):
        if factor not in base.tensors:
            raise AggregationError(f"{base.path.name} lacks {factor}, the partner of a factor that it has.")
    a, b = base.tensors[a_name(name)].shape, base.tensors[b_name(name)].shape
    if len(a) != 2 or len(b) != 2 or a[0] != b[1]:
        raise AggregationError(
            f"{base.path.name}: the factors of {name} must be rank x in and out x rank, found A {list(a)} and "
            f"B {list(b)}; start the round from a LoRA adapter of linear modules."
        )
    return Module(name, b[0], a[0], a[1])
