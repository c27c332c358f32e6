"""Checks that need the loaded model, made before any node is paid to train it."""

from typing import cast

import torch
from transformers import PreTrainedModel

from atlas.errors import ModelError
from atlas.spec.job import JobSpec
from atlas.spec.model_limits import check_max_length
from atlas.training.models.adapters import AdaptedModel


def check_model(spec: JobSpec, adapted: AdaptedModel) -> None:
    """Raise `SpecError` for a `max_length` beyond the model's positions, `ModelError` for token ids without embeddings.

    Added tokens may have ids beyond the embeddings if texts never contain them, as in Gemma 3. The vocabulary and the
    special tokens that training puts into rows must have embeddings.
    """
    base, tokenizer = cast(PreTrainedModel, adapted.model.get_base_model()), adapted.tokenizer
    check_max_length(spec, base.config.to_dict())
    rows = cast(torch.Tensor, base.get_input_embeddings().weight).shape[0]
    used = {
        "vocabulary": tokenizer.vocab_size - 1,
        "end-of-text token": tokenizer.eos_token_id,
        "padding token": adapted.padding_id,
        "first token": tokenizer.bos_token_id,
    }
    beyond = [f"its {what} reaches id {id_}" for what, id_ in used.items() if id_ is not None and id_ >= rows]
    if beyond:
        raise ModelError(
            f"The tokenizer of {spec.model.source} does not fit its embeddings, which have {rows} rows: "
            f"{', '.join(beyond)}. Give a model with embeddings for every token."
        )
