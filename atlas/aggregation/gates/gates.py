"""Gates: why an update may not enter a round. Each reads bytes or numbers and returns a `Refusal` or nothing.

In the order in which an update passes them, by the names that manifests and tables show:

- `receipt`, `stale`: what a node signed is not what it was asked for, or belongs to another round (`resources`).
- `readable`, `schema`: it is no safetensors file, or one with other tensors than the task asks for (`schema`).
- `finite`: it holds NaN or infinity (`inspection`).
- `norm`: its change is longer than the job's steps can make it, or far longer than the others' (`norms`), at arrival
  and again over the whole round. Where there are fewer than three, the round before stands for the others.
- `copy`: another node has sent it, or nearly it, for other rows (`copies`).
"""

from atlas.aggregation.gates.copies import Delivery, copy_refusal
from atlas.aggregation.gates.inspection import Inspected, inspect_update
from atlas.aggregation.gates.norms import FEWEST, check_round, growth_refusal, norm_refusal, reach_refusal
from atlas.aggregation.gates.refusal import Refusal
from atlas.aggregation.gates.schema import Schema, expected_schema, schema_of

__all__ = [
    "FEWEST",
    "Delivery",
    "Inspected",
    "Refusal",
    "Schema",
    "check_round",
    "copy_refusal",
    "expected_schema",
    "growth_refusal",
    "inspect_update",
    "norm_refusal",
    "reach_refusal",
    "schema_of",
]
