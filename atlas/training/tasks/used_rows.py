"""The rows that a training task uses, tokenized, and the order in which its steps use them."""

from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from atlas import activity
from atlas.spec.job import JobSpec
from atlas.training.tasks.batches import Example
from atlas.training.tasks.rows import Row, row_order
from atlas.training.tasks.targets import require_targets
from atlas.training.tasks.tasks import TASKS


class UsedRows(NamedTuple):
    """The rows that the steps use, each once, as text and as tokens; and for each use in order its place in them."""

    rows: list[Row]
    examples: list[Example]
    order: list[int]

    @property
    def tokens(self) -> int:
        """The tokens of all steps."""
        return sum(len(self.examples[place].tokens) for place in self.order)


def encode_used_rows(rows: list[Row], tokenizer: PreTrainedTokenizerBase, spec: JobSpec, seed: int) -> UsedRows:
    """Select the rows that the steps use, from a shard's, and tokenize them; the others are not tokenized.

    `seed` decides the order. Raises `NothingToPredict` when no used row has anything to predict.
    """
    training = spec.training
    order = row_order(len(rows), seed, training.steps * training.batch_size * training.gradient_accumulation)
    numbers = sorted(set(order))
    used = [rows[number] for number in numbers]
    activity.begin("tokenizing")
    examples = TASKS[spec.model.task].encode_rows(used, tokenizer, spec)
    require_targets(examples, spec)
    place_of = {number: place for place, number in enumerate(numbers)}
    return UsedRows(used, examples, [place_of[number] for number in order])
