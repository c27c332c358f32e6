"""The largest number of tokens per row that a model supports, from its configuration. Loads no tensor library."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from atlas.errors import ModelError, SpecError
from atlas.models.gguf_header import context_length
from atlas.spec.job import JobSpec

POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx")
"""The configuration keys for the number of positions, the most common first."""
AFTER_PADDING = {
    "camembert", "data2vec-text", "esm", "ibert", "layoutlmv3", "lilt", "longformer", "luke", "markuplm", "mpnet",
    "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod",
}  # fmt: skip
"""Model types that count positions from the padding index + 1, so that lower positions are unused."""
WITHOUT_LIMIT = {"bloom", "mt5", "t5", "umt5", "longt5", "xlnet", "transfo-xl", "mamba", "mamba2", "falcon_mamba"}
"""Model types with relative positions or none, regardless of their configuration."""
STRETCHED = {"linear", "dynamic", "yarn"}
"""Kinds of rotary scaling that multiply the positions by their factor."""


def check_max_length(spec: JobSpec, config: Mapping[str, Any]) -> None:
    """Raise `SpecError` when `training.max_length` exceeds the model's number of positions.

    Also raised when it is too short for a language model to predict a token.
    """
    if spec.model.task == "causal-lm" and spec.training.max_length < 2:
        raise SpecError(
            "training.max_length is 1, but a language model needs two tokens: it predicts each token from those before "
            "it. Raise training.max_length."
        )
    limit = positions(config)
    if limit is not None and spec.training.max_length > limit:
        raise SpecError(
            f"training.max_length is {spec.training.max_length}, but {spec.model.source} has positions for {limit} "
            f"tokens. Lower training.max_length to {limit} or less."
        )


def read_config(files: Mapping[str, Path]) -> dict[str, Any]:
    """The configuration from a model's files; for a GGUF model, only the number of positions from its header.

    Raises `ModelError` when it cannot be read.
    """
    if "config.json" not in files:
        found = [context_length(path) for name, path in files.items() if name.endswith(".gguf")]
        return {"max_position_embeddings": found[0]} if found else {}
    try:
        config = json.loads(files["config.json"].read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"The configuration {files['config.json']} cannot be read: {error}.") from error
    return config if isinstance(config, dict) else {}


def positions(config: Mapping[str, Any]) -> int | None:
    """The number of tokens that the model has positions for; None if there is no limit, or it is unknown."""
    text = config.get("text_config")
    if isinstance(text, Mapping):
        return positions(text)
    kind = config.get("model_type")
    if kind in WITHOUT_LIMIT or config.get("alibi") is True or _has_relative_positions(config):
        return None
    found = next((config[name] for name in POSITIONS if _is_count(config.get(name))), None)
    if found is None:
        return None
    limit = int(found)
    if kind in AFTER_PADDING:
        padding = config.get("pad_token_id")
        return limit - (padding if _is_count(padding) else 1) - 1
    return max([limit, *(int(stretched) for stretched in _stretched(config, limit))])


def _has_relative_positions(config: Mapping[str, Any]) -> bool:
    """Whether this is a DeBERTa model with `position_biased_input` off; on, the default, it adds absolute positions."""
    return config.get("model_type") in {"deberta", "deberta-v2"} and config.get("position_biased_input") is False


def _stretched(config: Mapping[str, Any], limit: int) -> Iterator[float]:
    """The number of positions after rotary scaling, per scaling setting (some models have one per kind of layer)."""
    for name in ("rope_scaling", "rope_parameters"):
        settings = config.get(name)
        if isinstance(settings, Mapping):
            nested = [one for one in settings.values() if isinstance(one, Mapping)]
            for one in nested or [settings]:
                kind, factor = one.get("rope_type", one.get("type")), one.get("factor")
                if kind in STRETCHED and isinstance(factor, int | float) and factor > 0:
                    original = one.get("original_max_position_embeddings")
                    yield (original if _is_count(original) else limit) * factor


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
