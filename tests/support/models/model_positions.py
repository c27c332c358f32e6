"""Every tiny model takes a row of as many tokens as `positions` says, and fails on one more."""

import torch
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2Model,
    MPNetConfig,
    MPNetModel,
    OPTConfig,
    OPTModel,
    RobertaConfig,
    RobertaModel,
)  # fmt: skip

from atlas.spec.model_limits import positions

SHAPE = {"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "pad_token_id": 1}
MODELS = [
    BertModel(BertConfig(max_position_embeddings=20, **SHAPE)),
    RobertaModel(RobertaConfig(max_position_embeddings=20, **SHAPE)),
    MPNetModel(MPNetConfig(max_position_embeddings=20, **SHAPE)),
    OPTModel(OPTConfig(max_position_embeddings=20, ffn_dim=8, word_embed_proj_dim=8, **SHAPE)),
    GPT2Model(GPT2Config(vocab_size=9, n_embd=8, n_layer=1, n_head=2, n_positions=20)),
]

for model in MODELS:
    limit = positions(model.config.to_dict())
    assert limit is not None, model
    model(input_ids=torch.full((1, limit), 5))
    try:
        model(input_ids=torch.full((1, limit + 1), 5))
    except (IndexError, RuntimeError):
        continue
    raise SystemExit(f"{type(model).__name__} takes {limit + 1} tokens")
