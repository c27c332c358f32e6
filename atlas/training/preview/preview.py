"""Look at an order's model and rows as training would, without loading the weights."""

from collections.abc import Callable, Sequence

import psutil
from transformers import PreTrainedTokenizerBase

from atlas.spec.job import JobSpec
from atlas.training.models.adapters import (
    AdaptedModel,
    adapter_parameters,
    freeze_factor,
    outline_adapted_model,
    set_training_mode,
)
from atlas.training.models.model_checks import check_model
from atlas.training.preview.documents import Memory, Preview, PreviewRequest, RowPreview
from atlas.training.preview.memory import evaluation_bytes, training_bytes
from atlas.training.runtime import prepare_runtime
from atlas.training.tasks.batches import Example
from atlas.training.tasks.rows import Row, read_rows
from atlas.training.tasks.targets import idle_rows_warning, require_targets
from atlas.training.tasks.tasks import TASKS
from atlas.training.tasks.used_rows import UsedRows, encode_used_rows
from atlas.unexpected import describe_error

SHOWN_ROWS = 10
UNCUT = 10**9
"""A `max_length` that cuts no row."""


def preview(request: PreviewRequest) -> Preview:
    """The model's parameters, the tokens of each task, the first rows as the model sees them, and the memory of tasks.

    Rows are read, ordered and tokenized by the functions of `train` and `evaluate`. Raises what these raise for such a
    model and such rows: `ModelError`, `SpecError`, `DataError`.
    """
    spec = request.spec
    prepare_runtime("cpu", 1)
    libraries = psutil.Process().memory_info().rss
    adapted = outline_adapted_model(spec, request.model, request.cache, spec.training.precision)
    check_model(spec, adapted)
    parameters = sum(one.numel() for one in adapted.model.parameters())
    if (frozen := spec.aggregation.method.frozen_factor(1)) is not None:
        freeze_factor(adapted.model, frozen)

    used = {
        shard.key: encode_used_rows(read_rows(shard.rows, spec), adapted.tokenizer, spec, shard.seed)
        for shard in request.shards
    }
    held_out = read_rows(request.holdout, spec)
    judged: list[Example] = TASKS[spec.model.task].encode_rows(held_out, adapted.tokenizer, spec)
    require_targets(judged, spec)
    memory, warnings = _memory(adapted, spec, [one for rows in used.values() for one in rows.examples], judged)
    return Preview(
        parameters=parameters,
        trainable=sum(one.numel() for one in adapter_parameters(adapted.model).values()),
        tokens={key: rows.tokens for key, rows in used.items()},
        holdout_tokens=_tokens(judged),
        rows=_shown(_first_rows(used, held_out), adapted.tokenizer, spec),
        warnings=[*_idle_rows(used, spec), *warnings],
        memory=[
            Memory(task=task, device=device, tensors=tensors, libraries=libraries if device == "cpu" else None)
            for task, tensors in memory.items()
            for device in ("cpu", "cuda")
        ],
    )


def _tokens(examples: Sequence[Example]) -> int:
    return sum(len(example.tokens) for example in examples)


def _first_rows(used: dict[str, UsedRows], held_out: list[Row]) -> list[Row]:
    """The rows that the first shard's task uses first, each once; without shards, the first held-out rows."""
    for rows in used.values():
        return [rows.rows[place] for place in list(dict.fromkeys(rows.order))[:SHOWN_ROWS]]
    return held_out[:SHOWN_ROWS]


def _shown(rows: list[Row], tokenizer: PreTrainedTokenizerBase, spec: JobSpec) -> list[RowPreview]:
    uncut = spec.model_copy(update={"training": spec.training.model_copy(update={"max_length": UNCUT})})
    encode = TASKS[spec.model.task].encode_rows
    examples, whole = encode(rows, tokenizer, spec), encode(rows, tokenizer, uncut)
    return [
        RowPreview(
            text=str(tokenizer.decode(example.tokens)),
            label=None if row.label is None else spec.dataset.labels[row.label],
            tokens=len(example.tokens),
            whole=len(all_of_it.tokens),
        )
        for row, example, all_of_it in zip(rows, examples, whole, strict=True)
    ]


def _idle_rows(used: dict[str, UsedRows], spec: JobSpec) -> list[str]:
    rows_per_step = spec.training.batch_size * spec.training.gradient_accumulation
    found = {key: idle_rows_warning(rows.examples, rows.order, rows_per_step, spec) for key, rows in used.items()}
    return [f"{key}: {warning}" for key, warning in found.items() if warning]


def _memory(
    adapted: AdaptedModel, spec: JobSpec, trained: Sequence[Example], judged: Sequence[Example]
) -> tuple[dict[str, int | None], list[str]]:
    """The bytes of training and of an evaluation with the longest rows, and a sentence for each that is unknown.

    Without rows, training is computed for rows of `training.max_length` tokens.
    """
    model, warnings = adapted.model, list[str]()
    longest = max((len(one.tokens) for one in trained), default=spec.training.max_length)
    judged_rows = min(spec.evaluation.batch_size, len(judged))
    longest_judged = max(len(one.tokens) for one in judged)

    def known(task: str, compute: Callable[[], int]) -> int | None:
        try:
            return compute()
        except Exception as error:  # a model may need values, such as those of a mask, in its own code
            warnings.append(f"The memory of the task {task} is unknown: {describe_error(error)}")
            return None

    set_training_mode(model)
    train = known("train", lambda: training_bytes(model, spec, spec.training.batch_size, max(longest, 1)))
    model.eval()
    evaluate = known("evaluate", lambda: evaluation_bytes(model, spec, judged_rows, longest_judged))
    return {"train": train, "evaluate": evaluate}, warnings
