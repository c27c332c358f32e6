"""A preview sees what training sees: the same parameters, tokens and rows, and nearly the same memory."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from atlas.documents.manifests import ModelManifest
from atlas.errors import DataError, ModelError
from atlas.spec.job import JobSpec
from atlas.training.models.adapters import (
    AdaptedModel,
    adapter_parameters,
    build_adapted_model,
    freeze_factor,
    outline_adapted_model,
    set_training_mode,
)
from atlas.training.preview.documents import Preview, PreviewRequest, ShardRows
from atlas.training.preview.memory import PeakBytes, resident_bytes, run_step, step_bytes
from atlas.training.preview.preview import preview
from atlas.training.tasks.batches import Batch
from atlas.training.train import TrainRequest, train

TASKS = ["sequence-classification", "causal-lm"]
SEED = 7

Look = Callable[..., Preview]


@pytest.fixture
def look(spec_of: Callable[..., JobSpec], manifest_of: dict[str, ModelManifest], cache: Path, shard: Path) -> Look:
    def of(task: str, rows: Path = shard, **settings: object) -> Preview:
        spec = spec_of(task, **settings)
        return preview(
            PreviewRequest(
                spec=spec,
                model=manifest_of[task],
                cache=cache,
                shards=[ShardRows(key="s000", rows=rows, seed=SEED)],
                holdout=shard,
                parent=os.getppid(),
            )
        )

    return of


def loaded(spec: JobSpec, manifest: ModelManifest, cache: Path) -> AdaptedModel:
    return build_adapted_model(spec, manifest, cache, torch.device("cpu"), spec.training.precision)


@pytest.mark.parametrize("task", TASKS)
def test_tokens_are_those_that_training_counts(look, task, spec_of, manifest_of, untrained, cache, shard, tmp_path):
    spec = spec_of(task, max_length=5)
    request = TrainRequest(
        spec=spec,
        model=manifest_of[task],
        shard=shard,
        base_adapter=untrained(spec),
        seed=SEED,
        work=tmp_path,
        cache=cache,
        device="cpu",
    )
    trained = train(request, lambda progress: None, lambda step, path: None, lambda: False)
    assert look(task, max_length=5).tokens == {"s000": trained.tokens_seen}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("strategy", ["fedavg", "ffa"])
def test_parameters_are_those_of_the_loaded_model(look, task, strategy, spec_of, manifest_of, cache):
    aggregation = {"strategy": strategy}
    spec = spec_of(task, aggregation=aggregation)
    model = loaded(spec, manifest_of[task], cache).model
    found = look(task, aggregation=aggregation)
    assert found.parameters == sum(one.numel() for one in model.parameters())
    if (frozen := spec.aggregation.method.frozen_factor(1)) is not None:
        freeze_factor(model, frozen)
    assert found.trainable == sum(one.numel() for one in model.parameters() if one.requires_grad)


@pytest.mark.parametrize("task", TASKS)
def test_an_outline_has_the_tensors_of_the_loaded_model_without_their_values(task, spec_of, manifest_of, cache):
    spec = spec_of(task)
    model = loaded(spec, manifest_of[task], cache).model
    outline = outline_adapted_model(spec, manifest_of[task], cache, "fp32").model
    assert {name: one.shape for name, one in adapter_parameters(outline).items()} == {
        name: one.shape for name, one in adapter_parameters(model).items()
    }
    assert {one.device.type for one in outline.parameters()} == {"meta"}
    assert resident_bytes(outline) == resident_bytes(model)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("trains", [True, False], ids=["train", "evaluate"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_memory_of_a_step_is_nearly_that_of_a_real_one(task, trains, precision, spec_of, manifest_of, cache):
    spec = spec_of(task, precision=precision)
    rows, width = 8, 48
    model = loaded(spec, manifest_of[task], cache).model
    outline = outline_adapted_model(spec, manifest_of[task], cache, precision).model
    for one in (model, outline):
        set_training_mode(one) if trains else one.eval()
    batch = Batch(
        torch.zeros(rows, width, dtype=torch.long),
        torch.ones(rows, width, dtype=torch.long),
        torch.zeros(rows, dtype=torch.long),
    )
    with PeakBytes([*model.parameters(), *model.buffers()]) as real:
        run_step(model, spec, batch, trains)
    assert 0.95 * real.peak < step_bytes(outline, spec, rows, width, trains) < 1.25 * real.peak


def test_memory_is_weights_optimizer_and_a_step_and_unknown_for_the_libraries_of_a_gpu(look):
    found = {(one.task, one.device): one for one in look("sequence-classification").memory}
    assert found["train", "cpu"].tensors == found["train", "cuda"].tensors
    assert found["train", "cpu"].tensors > found["evaluate", "cpu"].tensors > 0
    assert found["train", "cpu"].total > found["train", "cpu"].libraries > 10_000_000
    assert found["train", "cuda"].total is None


def test_rows_are_shown_as_the_model_sees_them_with_their_label_and_what_is_cut(look):
    shown = look("sequence-classification", max_length=5).rows
    assert len(shown) == 10
    cut = next(row for row in shown if row.whole > row.tokens)
    assert cut.tokens == 5
    assert cut.text.startswith("[CLS] ")
    assert cut.text.endswith("[SEP]")
    assert {row.label for row in shown} == {"good", "bad"}


def test_what_training_would_refuse_is_refused(look, spec_of, manifest_of, cache, tmp_path, shard):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"label":"other","text":"a"}\n')
    with pytest.raises(DataError, match="other"):
        look("sequence-classification", rows=bad)
    spec = spec_of("causal-lm")
    wrong = spec.model_copy(update={"lora": spec.lora.model_copy(update={"target_modules": ["query"]})})
    with pytest.raises(ModelError, match="the model has"):
        outline_adapted_model(wrong, manifest_of["causal-lm"], cache, "fp32")
