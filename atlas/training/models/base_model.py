"""The folder of a base model that transformers loads: verified files only, GGUF weights dequantized once."""

import contextlib
import io
import os
import shutil
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from atlas import activity
from atlas.disk.files import sync
from atlas.disk.locks import exclusive
from atlas.documents.manifests import ModelManifest
from atlas.errors import ModelError
from atlas.models.files import verify_model
from atlas.training.tensor_files import save_folder


def base_model_folder(manifest: ModelManifest, cache: Path) -> Path:
    """A folder of safetensors weights, configuration and tokenizer, ready for `from_pretrained`.

    Raises `ModelError` or `CorruptContent` when this machine's files are not the manifest's.
    """
    files = verify_model(manifest, cache)
    folder = _linked_folder(files, cache / "models" / manifest.cid)
    gguf = [name for name in files if name.endswith(".gguf")]
    if not gguf:
        return folder
    return _dequantized_folder(folder, gguf[0], cache / "dequantized" / manifest.files[gguf[0]])


def _linked_folder(files: dict[str, Path], folder: Path) -> Path:
    """A folder of links to only the verified files, so that a stray file beside them cannot change the model."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in files.items():
        link, target = folder / name, path.resolve()
        if not link.is_symlink() or link.readlink() != target:
            fresh = folder / f".{name}.{os.getpid()}"
            fresh.symlink_to(target)
            fresh.replace(link)
    return folder


def _dequantized_folder(source: Path, gguf: str, folder: Path) -> Path:
    """The float32 copy of a GGUF model, named by the GGUF's CID; written once, under a lock, atomically."""
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(folder.with_suffix(".lock")):
        if not folder.is_dir():
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            _dequantize(source, gguf, partial)
            for path in partial.iterdir():
                sync(path)
            partial.rename(folder)
            sync(folder.parent)
    return folder


def _dequantize(source: Path, gguf: str, target: Path) -> None:
    activity.begin("dequantizing the model")
    try:
        # transformers shows this progress bar regardless of its settings.
        with contextlib.redirect_stderr(io.StringIO()):
            tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=gguf, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(
                source,
                gguf_file=gguf,
                dtype=torch.float32,
                quantization_config=GgufConfig(dequantize=True),
                local_files_only=True,
            )
    except (OSError, ValueError, NotImplementedError) as error:
        raise ModelError(f"Cannot dequantize {gguf}: {error}.") from error
    activity.advance()
    save_folder(model, target)
    save_folder(tokenizer, target)
