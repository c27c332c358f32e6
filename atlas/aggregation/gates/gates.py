"""Gates: checks that may keep an update out of a round. Each reads bytes or numbers and returns a `Refusal` or None.

In order, by the names that manifests and tables show:

- `receipt`, `stale`: the signed receipt does not match the task, or belongs to another round (`resources`).
- `readable`, `schema`: it is not a safetensors file, or has other tensors than the task requires (`schema`).
- `finite`: it holds NaN or infinity (`inspection`).
- `norm`: its change is longer than the job's steps allow, or far longer than the others' (`norms`). Checked on arrival
  and again over the whole round. With fewer than three updates, the previous round's lengths replace the others'.
- `copy`: another node sent the same or nearly the same update for other rows (`copies`).
"""

from atlas.aggregation.gates.copies import InspectedUpdate, copy_refusal
from atlas.aggregation.gates.inspection import Inspected, inspect_update
from atlas.aggregation.gates.norms import FEWEST, check_round, growth_refusal, norm_refusal, reach_refusal
from atlas.aggregation.gates.refusal import Refusal
from atlas.aggregation.gates.schema import Schema, expected_schema, schema_of

__all__ = [
    "FEWEST",
    "Inspected",
    "InspectedUpdate",
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
