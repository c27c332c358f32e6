"""The domain library: specs, content, data, training, aggregation, verification. No Dagster, no network services.

The names below are its public interface; docs/python.md has an example of each. They are imported when they are first
used, so that `import atlas` loads neither NumPy nor torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atlas.aggregation.gates.inspection import Inspected, inspect_update
    from atlas.aggregation.gates.refusal import Refusal
    from atlas.content.format.cid import cid_of_bytes, cid_of_file, cid_of_folder, parse_cid
    from atlas.content.local.store import LocalStore
    from atlas.content.store import ContentStore
    from atlas.data.prepare import check_first_rows, prepare_dataset
    from atlas.documents.manifests import AcceptedUpdate, Checkpoint, DatasetManifest, ModelManifest, RoundManifest
    from atlas.documents.stored import get_document, put_document
    from atlas.errors import AtlasError
    from atlas.ids import Cid
    from atlas.models.files import model_manifest
    from atlas.rounds.checkpoint import aggregate_round, untrained_checkpoint
    from atlas.rounds.diagnose import diagnose_round
    from atlas.spec.job import JobSpec
    from atlas.training.evaluate import Candidate, EvaluateRequest, evaluate
    from atlas.training.export.adapter import export_adapter
    from atlas.training.export.merged_model import export_merged
    from atlas.training.models.initialize import initialize
    from atlas.training.train import TrainRequest, train
    from atlas.verification.checkpoint import verify_checkpoint

__all__ = [
    "AcceptedUpdate",
    "AtlasError",
    "Candidate",
    "Checkpoint",
    "Cid",
    "ContentStore",
    "DatasetManifest",
    "EvaluateRequest",
    "Inspected",
    "JobSpec",
    "LocalStore",
    "ModelManifest",
    "Refusal",
    "RoundManifest",
    "TrainRequest",
    "aggregate_round",
    "check_first_rows",
    "cid_of_bytes",
    "cid_of_file",
    "cid_of_folder",
    "diagnose_round",
    "evaluate",
    "export_adapter",
    "export_merged",
    "get_document",
    "initialize",
    "inspect_update",
    "model_manifest",
    "parse_cid",
    "prepare_dataset",
    "put_document",
    "train",
    "untrained_checkpoint",
    "verify_checkpoint",
]

_MODULES = {
    "aggregation.gates.inspection": ("Inspected", "inspect_update"),
    "aggregation.gates.refusal": ("Refusal",),
    "content.format.cid": ("cid_of_bytes", "cid_of_file", "cid_of_folder", "parse_cid"),
    "content.local.store": ("LocalStore",),
    "content.store": ("ContentStore",),
    "data.prepare": ("check_first_rows", "prepare_dataset"),
    "documents.manifests": ("AcceptedUpdate", "Checkpoint", "DatasetManifest", "ModelManifest", "RoundManifest"),
    "documents.stored": ("get_document", "put_document"),
    "errors": ("AtlasError",),
    "ids": ("Cid",),
    "models.files": ("model_manifest",),
    "rounds.checkpoint": ("aggregate_round", "untrained_checkpoint"),
    "rounds.diagnose": ("diagnose_round",),
    "spec.job": ("JobSpec",),
    "training.evaluate": ("Candidate", "EvaluateRequest", "evaluate"),
    "training.export.adapter": ("export_adapter",),
    "training.export.merged_model": ("export_merged",),
    "training.models.initialize": ("initialize",),
    "training.train": ("TrainRequest", "train"),
    "verification.checkpoint": ("verify_checkpoint",),
}
_MODULE_OF = {name: f"atlas.{module}" for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:  # so that a type checker refuses other names

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first used (PEP 562)."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'atlas' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
