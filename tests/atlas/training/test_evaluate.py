import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from atlas.documents.manifests import ModelManifest
from atlas.errors import TrainingError
from atlas.spec.job import JobSpec
from atlas.training.evaluate import Candidate, EvaluateRequest, evaluate
from atlas.training.models.adapters import build_adapted_model, save_adapter
from atlas.training.progress import Progress

TASKS = ["sequence-classification", "causal-lm"]


def loud_adapter(spec: JobSpec, manifest: ModelManifest, cache: Path, path: Path, scale: float = 0.5) -> Path:
    """An adapter with large random weights, so that it clearly changes the model."""
    adapted = build_adapted_model(spec, manifest, cache, torch.device("cpu"), "fp32")
    save_adapter(adapted.model, path)
    generator = torch.Generator().manual_seed(3)
    tensors = {name: scale * torch.randn(t.shape, generator=generator) for name, t in load_file(path).items()}
    save_file(tensors, path)
    return path


def expected_metrics(spec: JobSpec, folder: Path, adapter: Path, rows: Path) -> dict[str, float]:
    """Row by row with peft and transformers alone, without padding or batches."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    classify = spec.model.task == "sequence-classification"
    auto = AutoModelForSequenceClassification if classify else AutoModelForCausalLM
    base = auto.from_pretrained(folder, **({"num_labels": 2} if classify else {}))
    config = LoraConfig(
        task_type="SEQ_CLS" if classify else "CAUSAL_LM",
        r=spec.lora.rank,
        lora_alpha=spec.lora.alpha,
        target_modules=spec.lora.target_modules,
    )
    model = get_peft_model(base, config).eval()
    names = {name.replace(".weight", ".default.weight"): t for name, t in load_file(adapter).items() if "lora" in name}
    head = {
        name.replace("classifier", "classifier.modules_to_save.default"): t
        for name, t in load_file(adapter).items()
        if "classifier" in name
    }
    missing = model.load_state_dict(names | head, strict=False)
    assert not missing.unexpected_keys

    loss, targets, hits = 0.0, 0, 0
    with torch.no_grad():
        for line in rows.read_text().splitlines():
            row = json.loads(line)
            ids = tokenizer(row["text"])["input_ids"] + ([] if classify else [tokenizer.eos_token_id])
            logits = model(input_ids=torch.tensor([ids])).logits[0].double()
            if classify:
                label = spec.dataset.labels.index(row["label"])
                loss -= logits.log_softmax(-1)[label].item()
                hits += int(logits.argmax().item() == label)
                targets += 1
            else:
                loss -= sum(logits[i].log_softmax(-1)[ids[i + 1]].item() for i in range(len(ids) - 1))
                targets += len(ids) - 1
    if classify:
        return {"loss": loss / targets, "accuracy": hits / targets}
    return {"loss": loss / targets, "perplexity": math.exp(loss / targets)}


@pytest.fixture
def make_request(
    shard: Path,
    cache: Path,
    spec_of: Callable[..., JobSpec],
    manifest_of: dict[str, ModelManifest],
    untrained: Callable[[JobSpec], Path],
    tmp_path: Path,
) -> Callable[[str], EvaluateRequest]:
    def make(task: str) -> EvaluateRequest:
        spec = spec_of(task)
        adapter = loud_adapter(spec, manifest_of[task], cache, tmp_path / "loud.safetensors")
        return EvaluateRequest(
            spec=spec,
            model=manifest_of[task],
            rows=shard,
            adapters=[
                Candidate("loud", adapter),
                Candidate("untrained", untrained(spec)),
                Candidate("loud again", adapter),
            ],
            cache=cache,
            device="cpu",
        )

    return make


def with_batch_size(request: EvaluateRequest, size: int) -> EvaluateRequest:
    evaluation = request.spec.evaluation.model_copy(update={"batch_size": size})
    return EvaluateRequest(**{**vars(request), "spec": request.spec.model_copy(update={"evaluation": evaluation})})


@pytest.mark.parametrize("task", TASKS)
def test_metrics_are_those_of_a_row_by_row_computation(
    task: str, make_request: Callable[[str], EvaluateRequest], folder_of: dict[str, Path]
) -> None:
    request = make_request(task)
    result = evaluate(request, lambda progress: None)
    adapter = request.adapters[0].adapter
    expected = expected_metrics(request.spec, folder_of[task], adapter, request.rows)
    for name, value in expected.items():
        assert result.metrics["loud"][name] == pytest.approx(value, rel=1e-5)
    assert result.metrics["loud"]["rows"] == 10


@pytest.mark.parametrize("task", TASKS)
def test_adapters_do_not_leak_into_each_other(task: str, make_request: Callable[[str], EvaluateRequest]) -> None:
    request = make_request(task)
    metrics = evaluate(request, lambda progress: None).metrics
    again = dict(metrics["loud again"])
    assert again.pop("reference_loss") == metrics["untrained"]["loss"]
    assert metrics["loud"] == again
    assert metrics["loud"]["loss"] != metrics["untrained"]["loss"]
    alone = EvaluateRequest(**{**vars(request), "adapters": request.adapters[1:2]})
    expected = {name: metrics["untrained"][name] for name in metrics["loud"]}  # without the errors of the change
    assert evaluate(alone, lambda progress: None).metrics["untrained"] == expected


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("size", [1, 3, 10, 64])
def test_the_batch_size_does_not_matter(task: str, size: int, make_request: Callable[[str], EvaluateRequest]) -> None:
    request = make_request(task)
    expected = evaluate(request, lambda progress: None).metrics
    found = evaluate(with_batch_size(request, size), lambda progress: None).metrics
    for name, metrics in expected.items():
        assert found[name] == pytest.approx(metrics, rel=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_rivals_are_compared_with_the_second_checkpoint_on_the_same_rows(
    task: str, make_request: Callable[[str], EvaluateRequest], tmp_path: Path
) -> None:
    request = make_request(task)
    loud, base, _ = (candidate.adapter for candidate in request.adapters)
    files = {"base": base, "loud": loud, "rival": base, "twin": loud}
    adapters = [Candidate(name, adapter) for name, adapter in files.items()]
    metrics = evaluate(
        EvaluateRequest(**{**vars(request), "adapters": adapters, "sample_rows": 4}), lambda progress: None
    ).metrics
    assert [metrics[name]["rows"] for name in files] == [10, 10, 4, 4]
    assert "reference_loss" not in {*metrics["base"], *metrics["loud"]}

    lines = request.rows.read_text().splitlines(keepends=True)
    sample = tmp_path / "sample.jsonl"
    sample.write_text("".join(lines[row] for row in (0, 2, 5, 7)))
    expected = evaluate(
        EvaluateRequest(**{**vars(request), "rows": sample, "adapters": adapters[:2]}), lambda progress: None
    ).metrics
    assert metrics["rival"]["loss"] == pytest.approx(expected["base"]["loss"], rel=1e-5)
    assert metrics["twin"]["loss"] == pytest.approx(expected["loud"]["loss"], rel=1e-5)
    for name in ("rival", "twin"):
        assert metrics[name]["reference_loss"] == pytest.approx(expected["loud"]["loss"], rel=1e-5)


def test_progress_runs_over_all_checkpoints(make_request: Callable[[str], EvaluateRequest]) -> None:
    progress: list[Progress] = []
    evaluate(make_request("causal-lm"), progress.append)
    assert [item.step for item in progress] == list(range(1, 10))  # three checkpoints, ten rows in batches of four
    assert {item.steps for item in progress} == {9}
    assert progress[-1].rows_seen == 30


def test_a_diverged_checkpoint_is_named(
    make_request: Callable[[str], EvaluateRequest], cache: Path, tmp_path: Path
) -> None:
    request = make_request("sequence-classification")
    huge = loud_adapter(request.spec, request.model, cache, tmp_path / "huge.safetensors", scale=1e36)
    with pytest.raises(TrainingError, match="The checkpoint huge gives a loss that is not a number"):
        evaluate(EvaluateRequest(**{**vars(request), "adapters": [Candidate("huge", huge)]}), lambda progress: None)


def test_a_rival_that_has_diverged_counts_as_very_bad_and_ends_nothing(
    make_request: Callable[[str], EvaluateRequest], cache: Path, tmp_path: Path
) -> None:
    request = make_request("sequence-classification")
    huge = loud_adapter(request.spec, request.model, cache, tmp_path / "huge.safetensors", scale=1e36)
    adapters = [*request.adapters[:2], Candidate("huge", huge)]
    metrics = evaluate(EvaluateRequest(**{**vars(request), "adapters": adapters}), lambda progress: None).metrics
    assert metrics["huge"]["loss"] == pytest.approx(1e4)
    assert metrics["huge"]["reference_loss"] < 100
