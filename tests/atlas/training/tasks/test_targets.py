"""Rows with nothing to predict: they teach nothing, count for nothing, and a person learns how many there are."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from atlas.documents.manifests import ModelManifest
from atlas.errors import DataError
from atlas.models.files import model_manifest
from atlas.spec.job import JobSpec
from atlas.training.evaluate import Candidate, EvaluateRequest, evaluate
from atlas.training.models.initialize import initialize
from atlas.training.train import TrainRequest, TrainResult, train

LONG, SHORT = ["a good film", "bad plot end", "c d e f"], ["good", "bad", "a", "film"]


@pytest.fixture
def endless(
    llama_folder: Path, spec_of: Callable[..., JobSpec], cache: Path, tmp_path: Path
) -> Callable[..., tuple[JobSpec, ModelManifest, Path]]:
    """A spec, manifest and adapter of a model whose texts get no end token: a text of one word predicts nothing."""
    folder = tmp_path / "endless"
    shutil.copytree(llama_folder, folder)
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        settings = json.loads((folder / name).read_text())
        changed = {"eos_token": None} if name == "tokenizer_config.json" else {"eos_token_id": None}
        (folder / name).write_text(json.dumps(settings | changed))

    def make(**training: object) -> tuple[JobSpec, ModelManifest, Path]:
        settings = {"batch_size": 1, "gradient_accumulation": 1, "warmup_steps": 0, "checkpoint_every": 1, **training}
        spec = spec_of("causal-lm", **settings)
        spec = spec.model_copy(update={"model": spec.model.model_copy(update={"source": f"path:{folder}"})})
        manifest, start = model_manifest(f"path:{folder}", None, cache), tmp_path / "start.safetensors"
        initialize(spec, manifest, cache, start, threads=1)
        return spec, manifest, start

    return make


def write(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def run(request: TrainRequest, stop_at: int | None = None) -> tuple[TrainResult, list[float | None], list[str]]:
    request.work.mkdir(exist_ok=True)
    steps: list[float | None] = []
    warnings: list[str] = []
    result = train(
        request,
        lambda progress: steps.append(progress.loss),
        lambda step, path: None,
        lambda: len(steps) == stop_at,
        warn=warnings.append,
    )
    return result, steps, warnings


@pytest.fixture
def request_of(endless, tmp_path: Path, cache: Path) -> Callable[..., TrainRequest]:
    def make(work: str, texts: list[str], **training: object) -> TrainRequest:
        spec, manifest, start = endless(**training)
        shard = write(tmp_path / "shard.jsonl", texts)
        return TrainRequest(spec, manifest, shard, start, 3, tmp_path / work, cache, device="cpu", threads=1)

    return make


def test_a_step_with_nothing_to_predict_has_no_loss_and_moves_nothing(request_of) -> None:
    texts = [*LONG[:1], *SHORT]
    whole, losses, warnings = run(request_of("whole", texts, steps=5))
    assert len(losses) == 5
    taken = [step for step, loss in enumerate(losses, 1) if loss is not None]
    assert len(taken) == 1
    assert [point.step for point in whole.losses] == taken
    assert whole.rows_seen == 5
    assert warnings == [
        "Left out, because there is nothing to predict: 4 of 5 rows (each needs two tokens). Skipped, because they "
        "have no other rows: 4 of 5 steps."
    ]
    until, _, _ = run(request_of("until", texts, steps=taken[0]))
    assert whole.adapter.read_bytes() == until.adapter.read_bytes()


def test_a_run_with_such_steps_resumes_to_the_same_bytes_from_each_of_them(request_of) -> None:
    texts = [*LONG, *SHORT]
    whole, losses, _ = run(request_of("whole", texts, steps=7))
    assert sorted(loss is None for loss in losses) == [False] * 3 + [True] * 4
    for stop_at in range(1, 7):
        request = request_of(f"stop-{stop_at}", texts, steps=7)
        run(request, stop_at)
        checkpoint = request.work / f"checkpoint-{stop_at:06d}.safetensors"
        again, _, _ = run(dataclasses.replace(request, resume=checkpoint))
        assert again.adapter.read_bytes() == whole.adapter.read_bytes()
        assert again.losses == whole.losses


def test_rows_with_nothing_to_predict_do_not_disturb_their_batch(request_of) -> None:
    """A batch of seven rows, four of them idle, is the batch of the other three."""
    mixed, _, warnings = run(request_of("mixed", [*LONG, *SHORT], steps=1, batch_size=7))
    alone, _, none = run(request_of("alone", LONG, steps=1, batch_size=3))
    assert mixed.losses[0].loss == pytest.approx(alone.losses[0].loss, rel=1e-6)
    assert (len(warnings), none) == (1, [])


def test_a_shard_with_nothing_to_predict_at_all_is_refused_with_the_numbers(request_of) -> None:
    with pytest.raises(
        DataError, match=r"None of 4 rows has anything to predict.*two tokens; .*max_length is 64\. Give"
    ):
        run(request_of("idle", SHORT, steps=4))


def test_held_out_rows_with_nothing_to_predict_are_not_judged_nor_drawn_for_the_sample(
    endless, tmp_path: Path, cache: Path
) -> None:
    spec, manifest, start = endless()
    warnings: list[str] = []

    def judge(name: str, texts: list[str], sample: int | None) -> dict[str, dict[str, float]]:
        candidates = [Candidate(cid, start) for cid in ("base", "found", "rival")]
        rows = write(tmp_path / name, texts)
        request = EvaluateRequest(spec, manifest, rows, candidates, cache, sample_rows=sample, device="cpu", threads=1)
        return evaluate(request, lambda progress: None, warn=warnings.append).metrics

    mixed = judge("mixed", [*SHORT, *LONG], 1)  # the first row, which the sample would be, has nothing to predict
    assert warnings == ["Not evaluated, because there is nothing to predict: 4 of 7 rows."]
    assert mixed == judge("alone", LONG, 1)
    assert mixed["found"]["rows"] == 3.0
    assert mixed["rival"]["rows"] == 1.0
    with pytest.raises(DataError, match="None of 4 rows has anything to predict"):
        judge("idle", SHORT, None)


def test_an_empty_text_of_a_classifier_without_special_tokens_is_left_out(
    llama_folder: Path, spec_of: Callable[..., JobSpec], cache: Path, tmp_path: Path
) -> None:
    spec = spec_of("sequence-classification", steps=4, batch_size=2)
    targets = spec.lora.model_copy(update={"target_modules": ["q_proj"]})
    spec = spec.model_copy(
        update={"model": spec.model.model_copy(update={"source": f"path:{llama_folder}"}), "lora": targets}
    )
    manifest, start = model_manifest(f"path:{llama_folder}", None, cache), tmp_path / "start.safetensors"
    initialize(spec, manifest, cache, start, threads=1)
    shard = tmp_path / "shard.jsonl"
    rows = [{"text": text, "label": label} for text, label in (("a good film", "good"), ("\n", "bad"), ("bad", "bad"))]
    shard.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result, _, warnings = run(
        TrainRequest(spec, manifest, shard, start, 3, tmp_path / "work", cache, device="cpu", threads=1)
    )
    assert result.finished
    assert warnings[0].startswith(
        "Left out, because there is nothing to predict: 1 of 3 rows (each needs a token). Skipped, because they have "
        "no other rows: 0 of 4"
    )
    request = EvaluateRequest(spec, manifest, shard, [Candidate("base", start)], cache, device="cpu", threads=1)
    assert evaluate(request, lambda progress: None).metrics["base"]["rows"] == 2.0
