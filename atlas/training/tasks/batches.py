"""Batches: examples as token ids, padded on the right to the longest of their batch."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Example:
    """A tokenized row: its token ids, its class index (-1 without one), and how many predictions it is judged by.

    A row without any is left out of batches: it teaches and tells nothing.
    """

    tokens: list[int]
    label: int
    targets: int


@dataclass(frozen=True)
class Batch:
    """Padded examples on a device: ids and mask are (rows, tokens), labels is (rows,)."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    labels: torch.Tensor


def pad_batch(examples: list[Example], padding_id: int, device: torch.device) -> Batch:
    """Pad to the longest example and no further: given the order of the rows, shapes are the same on every machine."""
    width = max(1, *(len(example.tokens) for example in examples))
    ids = [example.tokens + [padding_id] * (width - len(example.tokens)) for example in examples]
    mask = [[1] * len(example.tokens) + [0] * (width - len(example.tokens)) for example in examples]
    return Batch(
        input_ids=torch.tensor(ids).to(device),
        attention_mask=torch.tensor(mask).to(device),
        labels=torch.tensor([example.label for example in examples]).to(device),
    )


@dataclass(frozen=True)
class RowScore:
    """One row's verdict: its summed loss in nats over its targets, and its predicted and true class if it has one."""

    loss: float
    targets: int
    predicted: int = -1
    expected: int = -1
