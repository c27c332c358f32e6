"""Train one shard from one checkpoint: equal requests give equal bytes, even if a run was stopped and resumed."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from atlas import activity
from atlas.aggregation.files.factors import Factor
from atlas.content.format.cid import cid_of_file
from atlas.documents.manifests import Environment, ModelManifest, TrainingPoint
from atlas.errors import DivergedError
from atlas.spec.job import JobSpec
from atlas.training.checkpoints import RunIdentity, TrainingState, load_checkpoint, save_checkpoint
from atlas.training.models.adapters import (
    adapter_parameters,
    build_adapted_model,
    freeze_factor,
    load_adapter_at_rank,
    save_adapter,
    set_training_mode,
)
from atlas.training.models.merged import MergedFactors
from atlas.training.progress import Progress
from atlas.training.proximal import ProximalPull
from atlas.training.runtime import autocast, environment, prepare_runtime
from atlas.training.schedules import learning_rate
from atlas.training.tasks.batches import pad_batch
from atlas.training.tasks.rows import read_rows
from atlas.training.tasks.targets import idle_rows_warning
from atlas.training.tasks.tasks import TASKS
from atlas.training.tasks.used_rows import encode_used_rows

KEPT_CHECKPOINTS = 3
ADVICE = "Lower training.learning_rate first; more training.warmup_steps help only if the rate is nearly right."


@dataclass(frozen=True)
class TrainRequest:
    """One task of a node. `seed` orders the rows and drives dropout.

    `merged` are factors of earlier rounds that were merged into the base model, oldest first. `frozen` is the LoRA
    factor that is not trained and not written. `rank` None takes the spec's.
    """

    spec: JobSpec
    model: ModelManifest
    shard: Path
    base_adapter: Path
    seed: int
    work: Path
    cache: Path
    merged: tuple[Path, ...] = ()
    frozen: Factor | None = None
    rank: int | None = None
    resume: Path | None = None
    device: str | None = None
    threads: int | None = None


@dataclass(frozen=True)
class TrainResult:
    """The result; `adapter` is None and `finished` is False when `should_stop` ended the run early."""

    finished: bool
    adapter: Path | None
    step: int
    losses: list[TrainingPoint]
    rows_seen: int
    tokens_seen: int
    environment: Environment


def train(
    request: TrainRequest,
    on_progress: Callable[[Progress], None],
    on_checkpoint: Callable[[int, Path], None],
    should_stop: Callable[[], bool],
    clock: Callable[[], float] = time.perf_counter,
    warn: Callable[[str], None] = lambda text: None,
) -> TrainResult:
    """Run the spec's steps over the shard, from `base_adapter` or from `resume`.

    A step whose rows have nothing to predict is skipped: it changes no parameters and has no loss. `warn` gets a
    sentence on such rows, if there are any.

    `on_checkpoint` gets a file in `work` every `checkpoint_every` steps; the newest three of this run are kept.
    `should_stop` is called after each step, so that every run makes at least one step; if it returns True, a checkpoint
    is written and the run ends.
    Raises `DataError`, `ModelError`, `CorruptContent` or `TrainingError` for an input that does not fit, and
    `DivergedError` when training diverges.
    """
    spec, training = request.spec, request.spec.training
    device = prepare_runtime(request.device, request.threads)
    task = TASKS[spec.model.task]
    activity.begin("reading its rows")
    rows = read_rows(request.shard, spec)

    adapted = build_adapted_model(spec, request.model, request.cache, device, training.precision, request.rank)
    model = adapted.model
    activity.begin("loading the adapter")
    MergedFactors(model).use(request.merged)
    load_adapter_at_rank(model, request.base_adapter, spec.lora.rank, request.rank or spec.lora.rank)
    if request.frozen is not None:
        freeze_factor(model, request.frozen)
    parameters = adapter_parameters(model)
    set_training_mode(model)
    pull = ProximalPull(parameters.values(), training.proximal)
    optimizer = _optimizer(list(parameters.values()), training.weight_decay)

    run, state = _identity(request), TrainingState()
    rows_per_step = training.batch_size * training.gradient_accumulation
    torch.manual_seed(request.seed)
    if request.resume is not None:
        state = load_checkpoint(request.resume, run, model, optimizer, rows_per_step, training.steps)

    _, encoded, order = encode_used_rows(rows, adapted.tokenizer, spec, request.seed)
    if warning := idle_rows_warning(encoded, order, rows_per_step, spec):
        warn(warning)

    activity.begin("training")
    stopped, written = False, list[Path]()
    while state.step < training.steps and not stopped:
        started = clock()
        step_examples = [encoded[place] for place in order[state.rows_seen : state.rows_seen + rows_per_step]]
        targets = sum(example.targets for example in step_examples)
        rate = learning_rate(state.step, training)

        loss_value: float | None = None
        if targets:
            step_loss = torch.zeros((), device=device)
            for first in range(0, rows_per_step, training.batch_size):
                teaching = [one for one in step_examples[first : first + training.batch_size] if one.targets]
                if not teaching:
                    continue
                batch = pad_batch(teaching, adapted.padding_id, device)
                with autocast(device, training.precision):
                    logits = task.forward(model, batch)
                loss = task.row_losses(logits, batch).sum() / targets
                loss.backward()
                activity.advance()
                step_loss += loss.detach()

            pull.add_to_gradients()
            norm = torch.nn.utils.clip_grad_norm_(parameters.values(), training.max_grad_norm)
            loss_value = _finite(step_loss, norm, state.step + 1, rate)
            for group in optimizer.param_groups:
                group["lr"] = rate
            _step(optimizer, state.step + 1, rate)
            optimizer.zero_grad(set_to_none=True)

        tokens = sum(len(example.tokens) for example in step_examples)
        state.step += 1
        state.rows_seen += rows_per_step
        state.tokens_seen += tokens
        state.losses.append(loss_value)
        speed = tokens / max(clock() - started, 1e-9)
        on_progress(Progress(state.step, training.steps, loss_value, state.rows_seen, state.tokens_seen, speed))

        stopped = state.step < training.steps and should_stop()
        if stopped or state.step % training.checkpoint_every == 0:
            path = request.work / f"checkpoint-{state.step:06d}.safetensors"
            save_checkpoint(path, run, state, model, optimizer)
            on_checkpoint(state.step, path)
            written.append(path)
            if len(written) > KEPT_CHECKPOINTS:
                written.pop(0).unlink(missing_ok=True)

    adapter = None if stopped else request.work / "adapter.safetensors"
    if adapter is not None:
        save_adapter(model, adapter)
    return TrainResult(
        finished=not stopped,
        adapter=adapter,
        step=state.step,
        losses=[TrainingPoint(step=step, loss=loss) for step, loss in enumerate(state.losses, 1) if loss is not None],
        rows_seen=state.rows_seen,
        tokens_seen=state.tokens_seen,
        environment=environment(device, training.precision),
    )


def _optimizer(parameters: list[torch.nn.Parameter], weight_decay: float) -> torch.optim.AdamW:
    """AdamW that decays matrices and leaves biases alone; the rate is set at each step."""
    matrices = [parameter for parameter in parameters if parameter.dim() >= 2]
    others = [parameter for parameter in parameters if parameter.dim() < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=0.0)


def _identity(request: TrainRequest) -> RunIdentity:
    return RunIdentity(
        job=request.spec.cid,
        model=request.model.cid,
        shard=cid_of_file(request.shard),
        base_adapter=cid_of_file(request.base_adapter),
        merged=[cid_of_file(path) for path in request.merged],
        frozen=request.frozen,
        rank=request.rank or request.spec.lora.rank,
        seed=request.seed,
    )


def _step(optimizer: torch.optim.Optimizer, step: int, rate: float) -> None:
    """Take one step; raises `DivergedError` for a learning rate that overflows the parameters' type."""
    try:
        optimizer.step()
    except RuntimeError as error:
        if "overflow" not in str(error):
            raise
        raise DivergedError(
            f"Step {step} cannot be taken at learning rate {rate}: {error}. Lower training.learning_rate."
        ) from error


def _finite(loss: torch.Tensor, norm: torch.Tensor, step: int, rate: float) -> float:
    value, length = loss.item(), norm.item()
    if not (math.isfinite(value) and math.isfinite(length)):
        raise DivergedError(
            f"Training diverged at step {step}: loss {value}, gradient norm {length}, learning rate {rate}. {ADVICE}"
        )
    return float(value)
