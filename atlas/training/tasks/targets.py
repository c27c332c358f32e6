"""Rows without anything to predict: the text is too short for a next token, or the tokenizer finds no tokens in it."""

from collections.abc import Sequence

from atlas.counts import counted
from atlas.errors import NothingToPredict
from atlas.spec.job import JobSpec
from atlas.training.tasks.batches import Example


def require_targets(examples: Sequence[Example], spec: JobSpec) -> None:
    """Raise `NothingToPredict` when no row has anything to predict."""
    if not any(example.targets for example in examples):
        raise NothingToPredict(
            f"None of {counted(len(examples), 'row')} has anything to predict: {_needed(spec)}; training.max_length is "
            f"{spec.training.max_length}. Give longer texts, or raise it."
        )


def idle_rows_warning(examples: Sequence[Example], order: Sequence[int], rows_per_step: int, spec: JobSpec) -> str:
    """A sentence on the rows and steps of a training order that have nothing to predict; empty if there are none.

    `order` holds indices into `examples`.
    """
    seen = set(order)
    idle = sum(not examples[place].targets for place in seen)
    if not idle:
        return ""
    steps = [order[first : first + rows_per_step] for first in range(0, len(order), rows_per_step)]
    skipped = sum(not any(examples[place].targets for place in step) for step in steps)
    return (
        f"Left out, because there is nothing to predict: {idle} of {counted(len(seen), 'row')} ({_needed(spec)}). "
        f"Skipped, because they have no other rows: {skipped} of {counted(len(steps), 'step')}."
    )


def _needed(spec: JobSpec) -> str:
    return "each needs a token" if spec.model.task == "sequence-classification" else "each needs two tokens"
