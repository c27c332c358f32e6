"""Batches: examples as token ids, padded on the right to the longest of their batch."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Example:
    """A tokenized row: its token ids, its class index (-1 without one), and its number of predictions.

    A row without predictions is left out of batches, because it has no loss.
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
    """Pad to the longest example and no further, so that shapes depend only on the rows and not on the machine."""
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
    """One row's result: its loss in nats, summed over its targets, and its predicted and true class if it has one."""

    loss: float
    targets: int
    predicted: int = -1
    expected: int = -1
