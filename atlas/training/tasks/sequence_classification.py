"""Sequence classification: one label per text, by a fresh head that trains together with the LoRA matrices."""

import math
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as functional
from peft import LoraConfig, TaskType
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from atlas.spec.job import JobSpec
from atlas.training.tasks.batches import Batch, Example, RowScore
from atlas.training.tasks.rows import Row
from atlas.training.tasks.tokenizing import token_ids


def build_model(folder: Path, spec: JobSpec, dtype: torch.dtype) -> PreTrainedModel:
    """The base model with a head of one output per label; a head of another size in the files is replaced."""
    model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
        folder,
        **_classes(spec),
        ignore_mismatched_sizes=True,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        dtype=dtype,
    )
    return model


def outline_model(folder: Path, spec: JobSpec, dtype: torch.dtype) -> PreTrainedModel:
    """The same modules as `build_model`, on torch's current device, without the weights in the files."""
    config = AutoConfig.from_pretrained(folder, **_classes(spec), local_files_only=True, trust_remote_code=False)
    model: PreTrainedModel = AutoModelForSequenceClassification.from_config(  # type: ignore[no-untyped-call]
        config, trust_remote_code=False, dtype=dtype
    )
    return model


def _classes(spec: JobSpec) -> dict[str, Any]:
    """The settings of a head with one output per label."""
    labels = dict(enumerate(spec.dataset.labels))
    return {
        "num_labels": len(labels),
        "id2label": labels,
        "label2id": {label: index for index, label in labels.items()},
    }


def adapter_config(model: PreTrainedModel, spec: JobSpec, rank: int) -> LoraConfig:
    """LoRA on the spec's modules, and full training of the modules beside the backbone: the head.

    At every rank, alpha / rank stays as in the spec.
    """
    head = [
        name
        for name, module in model.named_children()
        if name != model.base_model_prefix and any(True for _ in module.parameters())
    ]
    return LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=rank,
        lora_alpha=spec.lora.alpha * rank / spec.lora.rank,  # type: ignore[arg-type] # peft only divides it
        lora_dropout=spec.lora.dropout,
        target_modules=list(spec.lora.target_modules),
        modules_to_save=head,
    )


def encode_rows(rows: list[Row], tokenizer: PreTrainedTokenizerBase, spec: JobSpec) -> list[Example]:
    """Tokenize with the model's special tokens, cut at `max_length`."""
    texts = [row.text for row in rows]
    ids = token_ids(tokenizer, texts, truncation=True, max_length=spec.training.max_length)
    return [
        Example(tokens, label=-1 if row.label is None else row.label, targets=1 if tokens else 0)
        for row, tokens in zip(rows, ids, strict=True)
    ]


def forward(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Logits, (rows, labels)."""
    logits: torch.Tensor = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
    return logits


def row_losses(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Cross-entropy of each row in nats, float32."""
    return functional.cross_entropy(logits.float(), batch.labels, reduction="none")


def judge(logits: torch.Tensor, batch: Batch) -> list[RowScore]:
    """Each row's loss, and its predicted and true class."""
    columns = (row_losses(logits, batch), logits.argmax(dim=-1), batch.labels)
    losses, predicted, expected = (column.tolist() for column in columns)
    return [
        RowScore(loss, targets=1, predicted=guess, expected=truth)
        for loss, guess, truth in zip(losses, predicted, expected, strict=True)
    ]


def metrics(scores: list[RowScore]) -> dict[str, float]:
    """Mean loss, accuracy, and F1 averaged over the classes that occur as truth or prediction."""
    pairs = [(score.expected, score.predicted) for score in scores]
    return {
        "loss": math.fsum(score.loss for score in scores) / len(scores),
        "accuracy": sum(truth == guess for truth, guess in pairs) / len(scores),
        "macro_f1": macro_f1(pairs),
    }


def macro_f1(pairs: list[tuple[int, int]]) -> float:
    """Unweighted mean over classes of 2·TP / (2·TP + FP + FN), from pairs of (truth, prediction)."""
    classes = sorted({index for pair in pairs for index in pair})
    scores = []
    for index in classes:
        true_positives = sum(truth == index == guess for truth, guess in pairs)
        occurrences = sum((truth == index) + (guess == index) for truth, guess in pairs)
        scores.append(2 * true_positives / occurrences)
    return math.fsum(scores) / len(scores)
