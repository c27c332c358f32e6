"""Check that the files of a round fit together, for strategies that multiply factors."""

from collections.abc import Sequence
from dataclasses import dataclass

from atlas.aggregation.files.adapter_files import AdapterFile
from atlas.aggregation.files.factors import LoraModule
from atlas.errors import AggregationError


@dataclass(frozen=True)
class Module(LoraModule):
    """A module of the base model that the adapter changes, with its sizes."""

    out: int
    rank: int
    in_: int


def modules_of(base: AdapterFile) -> list[Module]:
    """The base's modules; raises `AggregationError` unless each has both factors with matching shapes."""
    return [_module(base, module) for module in base.modules]


def check_update(update: AdapterFile, base: AdapterFile, modules: Sequence[Module]) -> None:
    """Raise `AggregationError` unless an update has all tensors of the base, with one rank per module. The caller has
    checked its shapes against the base's.
    """
    missing = sorted(base.tensors.keys() - update.tensors.keys())
    if missing:
        raise AggregationError(
            f"{update.path.name} lacks {missing[0]}, which the base has; an update of this strategy holds all "
            f"{len(base.tensors)} tensors, with both factors of each module."
        )
    for module in modules:
        a, b = (update.tensors[name].shape for name in (module.a, module.b))
        if a[0] != b[1]:
            raise AggregationError(
                f"{update.path.name}: {module.name} has A {list(a)} and B {list(b)}, expected one rank in both; "
                "train the shard again from the round's base."
            )


def _module(base: AdapterFile, module: LoraModule) -> Module:
    for factor in (module.a, module.b):
        if factor not in base.tensors:
            raise AggregationError(f"{base.path.name} lacks {factor}, but has the other factor of the same module.")
    a, b = base.tensors[module.a].shape, base.tensors[module.b].shape
    if len(a) != 2 or len(b) != 2 or a[0] != b[1]:
        raise AggregationError(
            f"{base.path.name}: the factors of {module.name} must be rank x in and out x rank, found A {list(a)} and "
            f"B {list(b)}; start the round from a LoRA adapter of linear layers and embeddings."
        )
    return Module(module.name, module.kind, out=b[0], rank=a[0], in_=a[1])
