"""Causal language modelling: predict each next token of a text, and its end."""

import math
from pathlib import Path

import torch
import torch.nn.functional as functional
from peft import LoraConfig, TaskType
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from atlas.spec.job import JobSpec
from atlas.training.tasks.batches import Batch, Example, RowScore
from atlas.training.tasks.rows import Row
from atlas.training.tasks.tokenizing import token_ids

LARGEST_EXPONENT = 700.0  # exp(710) is no longer a float
IGNORED = -100


def build_model(folder: Path, spec: JobSpec, dtype: torch.dtype) -> PreTrainedModel:
    """The base model with its language-modelling head, which stays frozen."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder, use_safetensors=True, local_files_only=True, trust_remote_code=False, dtype=dtype
    )
    return model


def outline_model(folder: Path, spec: JobSpec, dtype: torch.dtype) -> PreTrainedModel:
    """The same modules as `build_model`, on torch's current device, without the weights in the files."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
        config, trust_remote_code=False, dtype=dtype
    )
    return model


def adapter_config(model: PreTrainedModel, spec: JobSpec, rank: int) -> LoraConfig:
    """LoRA on the spec's modules, at a given rank; alpha / rank stays as in the spec."""
    return LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=rank,
        lora_alpha=spec.lora.alpha * rank / spec.lora.rank,  # type: ignore[arg-type] # peft only divides it
        lora_dropout=spec.lora.dropout,
        target_modules=list(spec.lora.target_modules),
    )


def encode_rows(rows: list[Row], tokenizer: PreTrainedTokenizerBase, spec: JobSpec) -> list[Example]:
    """Tokenize, end each text with the end-of-text token, cut at `max_length`."""
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    examples = []
    for ids in token_ids(tokenizer, [row.text for row in rows]):
        tokens = (ids if ids[-1:] == end else ids + end)[: spec.training.max_length]
        examples.append(Example(tokens, label=-1, targets=max(0, len(tokens) - 1)))
    return examples


def forward(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Logits, (rows, tokens, vocabulary)."""
    output = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False)
    logits: torch.Tensor = output.logits
    return logits


def row_losses(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Cross-entropy in nats, float32, summed over the tokens that each row predicts."""
    targets = torch.full_like(batch.input_ids, IGNORED)
    targets[:, :-1] = batch.input_ids[:, 1:].masked_fill(batch.attention_mask[:, 1:] == 0, IGNORED)
    losses = functional.cross_entropy(
        logits.flatten(0, 1).float(), targets.flatten(), reduction="none", ignore_index=IGNORED
    )
    return losses.view_as(targets).sum(dim=1)


def judge(logits: torch.Tensor, batch: Batch) -> list[RowScore]:
    """Each row's summed loss and the number of tokens that it predicts."""
    targets = batch.attention_mask[:, 1:].sum(dim=1)
    return [
        RowScore(loss, targets=count)
        for loss, count in zip(row_losses(logits, batch).tolist(), targets.tolist(), strict=True)
    ]


def metrics(scores: list[RowScore]) -> dict[str, float]:
    """Mean loss per predicted token, and perplexity, its exponential (at most exp(700), so that it stays finite)."""
    loss = math.fsum(score.loss for score in scores) / sum(score.targets for score in scores)
    return {"loss": loss, "perplexity": math.exp(min(loss, LARGEST_EXPONENT))}
