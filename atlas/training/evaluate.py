"""Evaluate checkpoints on held-out rows: the base model is loaded once, then each adapter is evaluated in turn."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from atlas import activity
from atlas.counts import counted
from atlas.documents.manifests import Environment, ModelManifest
from atlas.errors import DivergedError
from atlas.ids import Cid
from atlas.spec.job import JobSpec
from atlas.training.change_errors import change_errors
from atlas.training.models.adapters import build_adapted_model, load_adapter
from atlas.training.models.merged import MergedFactors
from atlas.training.progress import Progress
from atlas.training.runtime import autocast, environment, prepare_runtime
from atlas.training.tasks.batches import RowScore, pad_batch
from atlas.training.tasks.rows import read_rows
from atlas.training.tasks.targets import require_targets
from atlas.training.tasks.tasks import TASKS

RIVALS_FROM = 2
"""The index of the first rival among the adapters."""


DIVERGED = 1e4
"""The loss per target, in nats, of a rival whose loss is not finite; a diverged rival still gets a result."""


@dataclass(frozen=True)
class Candidate:
    """A checkpoint to evaluate: its CID, its adapter, and the factors merged into its base model, oldest first."""

    checkpoint: Cid
    adapter: Path
    merged: tuple[Path, ...] = ()


@dataclass(frozen=True)
class EvaluateRequest:
    """One or more candidates.

    The first is the base, the second the round's checkpoint, and the others are rivals. Rivals are compared with the
    round's checkpoint, on `sample_rows` of the rows if that is given.
    """

    spec: JobSpec
    model: ModelManifest
    rows: Path
    adapters: list[Candidate]
    cache: Path
    sample_rows: int | None = None
    device: str | None = None
    threads: int | None = None


@dataclass(frozen=True)
class EvaluateResult:
    """Metrics per checkpoint CID: loss, accuracy, macro_f1 and rows; or loss, perplexity and rows.

    The round's checkpoint also has `loss_change_error` and, of a classifier, `accuracy_change_error`: the standard
    error of the difference to the base on the same rows. A rival also has `reference_loss`: the loss of the round's
    checkpoint on the rival's rows.
    """

    metrics: dict[str, dict[str, float]]
    environment: Environment


def evaluate(
    request: EvaluateRequest,
    on_progress: Callable[[Progress], None],
    clock: Callable[[], float] = time.perf_counter,
    warn: Callable[[str], None] = lambda text: None,
) -> EvaluateResult:
    """Evaluate each checkpoint; one batch counts as one step of progress, over all checkpoints.

    Rows without anything to predict are skipped and not counted; `warn` gets a sentence on them, if there are any.

    Raises `DataError`, `ModelError`, `CorruptContent`, `TrainingError` for an adapter that does not fit the model, and
    `DivergedError` for a loss that is not finite, unless it is a rival's.
    """
    spec, precision = request.spec, request.spec.training.precision
    device = prepare_runtime(request.device, request.threads)
    task = TASKS[spec.model.task]
    activity.begin("reading its rows")
    rows = read_rows(request.rows, spec)
    adapted = build_adapted_model(spec, request.model, request.cache, device, precision)
    model = adapted.model.eval()
    base_weights = MergedFactors(model)

    # Rows of similar length share a batch, which saves padding; a row's score does not depend on the others.
    activity.begin("tokenizing")
    examples = task.encode_rows(rows, adapted.tokenizer, spec)
    require_targets(examples, spec)
    judged = [row for row, example in enumerate(examples) if example.targets]
    if len(judged) < len(examples):
        warn(
            f"Not evaluated, because there is nothing to predict: {len(examples) - len(judged)} of "
            f"{counted(len(examples), 'row')}."
        )
    by_length = sorted(judged, key=lambda row: len(examples[row].tokens))
    sample = {judged[place] for place in spread(len(judged), request.sample_rows or len(judged))}
    sampled = [row for row in by_length if row in sample]
    plan = [
        (candidate, by_length if place < RIVALS_FROM else sampled) for place, candidate in enumerate(request.adapters)
    ]
    size = spec.evaluation.batch_size
    steps, step, rows_seen, tokens_seen = sum(-(-len(order) // size) for _, order in plan), 0, 0, 0

    metrics: dict[str, dict[str, float]] = {}
    base: list[RowScore] = []
    reference: dict[int, RowScore] = {}
    for place, (candidate, order) in enumerate(plan):
        name = candidate.checkpoint
        activity.begin("evaluating")
        base_weights.use(candidate.merged)
        load_adapter(model, candidate.adapter)
        scores: list[RowScore] = []
        for first in range(0, len(order), size):
            started = clock()
            batch_examples = [examples[row] for row in order[first : first + size]]
            batch = pad_batch(batch_examples, adapted.padding_id, device)
            with torch.inference_mode(), autocast(device, precision):
                logits = task.forward(model, batch)
            fresh: list[RowScore] = task.judge(logits, batch)
            if place >= RIVALS_FROM:
                fresh = [_held(score) for score in fresh]
            scores += fresh
            tokens = sum(len(example.tokens) for example in batch_examples)
            step, rows_seen, tokens_seen = step + 1, rows_seen + len(fresh), tokens_seen + tokens
            loss = math.fsum(score.loss for score in fresh) / sum(score.targets for score in fresh)
            speed = tokens / max(clock() - started, 1e-9)
            on_progress(Progress(step, steps, loss, rows_seen, tokens_seen, speed))
        if not all(math.isfinite(score.loss) for score in scores):
            raise DivergedError(f"The checkpoint {name} gives a loss that is not a number; its adapter has diverged.")
        metrics[name] = {**task.metrics(scores), "rows": float(len(scores))}
        if place == 0:
            base = scores
        elif place == RIVALS_FROM - 1:
            metrics[name] |= change_errors(base, scores)
            reference = dict(zip(order, scores, strict=True))
        elif place >= RIVALS_FROM:
            metrics[name]["reference_loss"] = task.metrics([reference[row] for row in order])["loss"]
    return EvaluateResult(metrics, environment(device, precision))


def _held(score: RowScore) -> RowScore:
    """The score, with a loss that is not finite replaced by `DIVERGED` per target."""
    return score if math.isfinite(score.loss) else replace(score, loss=DIVERGED * score.targets)


def spread(rows: int, wanted: int) -> list[int]:
    """The indices of `wanted` evenly spaced rows, or of all rows if there are fewer."""
    wanted = min(rows, wanted)
    return [place * rows // wanted for place in range(wanted)]
