import dataclasses
import itertools
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from atlas.documents.manifests import ModelManifest
from atlas.errors import CorruptContent, DataError, DivergedError, ModelError, TrainingError
from atlas.spec.job import JobSpec
from atlas.training.progress import Progress
from atlas.training.schedules import learning_rate
from atlas.training.tasks.rows import read_rows, row_order
from atlas.training.train import TrainRequest, TrainResult, train

TASKS = ["sequence-classification", "causal-lm"]
STEPS = 5

MakeRequest = Callable[..., TrainRequest]


def run(request: TrainRequest, stop_at: int | None = None) -> tuple[TrainResult, dict[int, Path], list[Progress]]:
    """Train; ask to stop after step `stop_at`. Checkpoints are copied, since only the newest stay."""
    progress: list[Progress] = []
    checkpoints: dict[int, Path] = {}

    def keep(step: int, path: Path) -> None:
        checkpoints[step] = Path(shutil.copy(path, request.work / f"kept-{step}.safetensors"))

    result = train(request, progress.append, keep, lambda: progress[-1].step == stop_at)
    return result, checkpoints, progress


def adapter_bytes(result: TrainResult) -> bytes:
    assert result.adapter is not None
    return result.adapter.read_bytes()


@pytest.fixture
def make_request(
    tmp_path: Path,
    cache: Path,
    shard: Path,
    spec_of: Callable[..., JobSpec],
    manifest_of: dict[str, ModelManifest],
    untrained: Callable[[JobSpec], Path],
) -> MakeRequest:
    def make(task: str, name: str = "work", **settings: object) -> TrainRequest:
        work = tmp_path / name
        work.mkdir(exist_ok=True)
        spec = spec_of(task, **settings)
        return TrainRequest(
            spec=spec,
            model=manifest_of[task],
            shard=shard,
            base_adapter=untrained(spec),
            seed=7,
            work=work,
            cache=cache,
            device="cpu",
        )

    return make


@pytest.mark.parametrize("task", TASKS)
def test_stopped_at_any_step_and_resumed_gives_the_same_bytes(task: str, make_request: MakeRequest) -> None:
    whole, _, _ = run(make_request(task, "whole"))
    assert whole.finished
    assert whole.step == STEPS
    for stop_at in range(1, STEPS):
        request = make_request(task, f"stopped-{stop_at}")
        stopped, checkpoints, _ = run(request, stop_at)
        assert not stopped.finished
        assert stopped.adapter is None
        assert stopped.step == stop_at
        assert list(checkpoints) == [stop_at]

        resumed, _, progress = run(dataclasses.replace(request, resume=checkpoints[stop_at]))
        assert [item.step for item in progress] == list(range(stop_at + 1, STEPS + 1))
        assert adapter_bytes(resumed) == adapter_bytes(whole)
        assert resumed.losses == whole.losses
        assert (resumed.rows_seen, resumed.tokens_seen) == (whole.rows_seen, whole.tokens_seen)


@pytest.mark.parametrize("task", TASKS)
def test_stopped_after_every_step_gives_the_same_bytes_and_the_same_checkpoints(
    task: str, make_request: MakeRequest
) -> None:
    whole, periodic, _ = run(make_request(task, "whole", checkpoint_every=1))
    request = make_request(task, "pieces", checkpoint_every=1)
    for step in range(1, STEPS):
        _, checkpoints, _ = run(request, stop_at=step)
        assert checkpoints[step].read_bytes() == periodic[step].read_bytes()
        request = dataclasses.replace(request, resume=checkpoints[step])
    last, _, _ = run(request)
    assert adapter_bytes(last) == adapter_bytes(whole)


def test_resuming_a_complete_run_only_writes_its_adapter(make_request: MakeRequest) -> None:
    whole, checkpoints, _ = run(make_request("causal-lm", "whole", checkpoint_every=STEPS))
    again, _, progress = run(
        dataclasses.replace(
            make_request("causal-lm", "again", checkpoint_every=STEPS),
            resume=checkpoints[STEPS],
        )
    )
    assert progress == []
    assert adapter_bytes(again) == adapter_bytes(whole)
    assert again.losses == whole.losses


@pytest.mark.parametrize("task", TASKS)
def test_bytes_do_not_depend_on_threads_or_the_state_of_the_process(task: str, make_request: MakeRequest) -> None:
    one, _, _ = run(dataclasses.replace(make_request(task, "one", steps=2), threads=1))
    torch.manual_seed(999)
    torch.rand(100)
    two, _, _ = run(dataclasses.replace(make_request(task, "two", steps=2), threads=2))
    assert adapter_bytes(one) == adapter_bytes(two)
    assert one.losses == two.losses


def test_the_seed_of_the_request_orders_the_rows(make_request: MakeRequest) -> None:
    request = make_request("causal-lm", dropout=0.0)
    first = adapter_bytes(run(request)[0])
    assert adapter_bytes(run(dataclasses.replace(request, seed=8))[0]) != first


def test_dropout_is_the_specs_alone_and_driven_by_the_seed_of_the_request(
    make_request: MakeRequest, tmp_path: Path
) -> None:
    one_row = tmp_path / "one.jsonl"  # one row has one order, so that the seed can act through dropout alone
    one_row.write_text('{"label":"good","text":"a good film"}\n')

    def result(seed: int, dropout: float) -> bytes:
        request = make_request("sequence-classification", dropout=dropout)
        return adapter_bytes(run(dataclasses.replace(request, shard=one_row, seed=seed))[0])

    assert result(7, dropout=0.2) != result(8, dropout=0.2)
    assert result(7, dropout=0.0) == result(8, dropout=0.0)
    assert result(7, dropout=0.2) != result(7, dropout=0.0)


def test_every_step_is_that_of_a_plain_peft_loop(make_request: MakeRequest, bert_folder: Path) -> None:
    request = make_request(
        "sequence-classification", dropout=0.0, schedule="cosine", learning_rate=1e-2, max_grad_norm=0.1
    )
    spec, rows = request.spec, read_rows(request.shard, request.spec)
    result, _, _ = run(request)

    torch.manual_seed(spec.training.seed)
    base = AutoModelForSequenceClassification.from_pretrained(bert_folder, num_labels=2)
    torch.manual_seed(spec.training.seed)
    config = LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=8, target_modules=["query", "value"])
    model = get_peft_model(base, config).eval()
    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in weights if parameter.dim() > 1]
    biases = [parameter for parameter in weights if parameter.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.01}, {"params": biases, "weight_decay": 0.0}])
    losses, norms = [], []
    for step, rate in enumerate([learning_rate(step, spec.training) for step in range(STEPS)]):
        batch = [rows[index] for index in row_order(len(rows), request.seed, 6 * STEPS)[6 * step : 6 * step + 6]]
        inputs = tokenizer([row.text for row in batch], return_tensors="pt", padding=True)
        output = model(**inputs, labels=torch.tensor([row.label for row in batch]))
        output.loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(weights, 0.1).item())
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()
        losses.append(output.loss.item())

    assert min(norms) < 0.1 < max(norms)  # so that clipping is seen
    assert [point.loss for point in result.losses] == pytest.approx(losses, rel=1e-4)
    assert result.adapter is not None
    for name, tensor in get_peft_model_state_dict(model).items():
        torch.testing.assert_close(load_file(result.adapter)[name], tensor, rtol=1e-2, atol=1e-4)


def test_accumulation_is_the_same_step_as_a_larger_batch(make_request: MakeRequest) -> None:
    split, _, _ = run(make_request("causal-lm", "split", dropout=0.0, batch_size=3, gradient_accumulation=2))
    joined, _, _ = run(make_request("causal-lm", "joined", dropout=0.0, batch_size=6, gradient_accumulation=1))
    assert split.adapter is not None
    assert joined.adapter is not None
    for name, tensor in load_file(joined.adapter).items():
        torch.testing.assert_close(load_file(split.adapter)[name], tensor, rtol=1e-3, atol=1e-5)
    for left, right in zip(split.losses, joined.losses, strict=True):
        assert math.isclose(left.loss, right.loss, rel_tol=1e-5)


def test_training_learns_its_shard(make_request: MakeRequest) -> None:
    request = make_request("sequence-classification", steps=60, learning_rate=2e-2, dropout=0.0, schedule="constant")
    result, _, _ = run(request)
    assert result.losses[-1].loss < 0.2 < result.losses[0].loss


def test_a_base_adapter_is_where_training_starts(make_request: MakeRequest) -> None:
    first, _, _ = run(make_request("causal-lm", "first", learning_rate=1e-2))
    request = dataclasses.replace(
        make_request("causal-lm", "second", steps=1, learning_rate=1e-12), base_adapter=first.adapter
    )
    second, _, _ = run(request)
    assert first.adapter is not None
    assert second.adapter is not None
    for name, tensor in load_file(first.adapter).items():
        torch.testing.assert_close(load_file(second.adapter)[name], tensor, rtol=0, atol=1e-8)


def test_progress_and_totals_count_rows_tokens_and_speed(make_request: MakeRequest) -> None:
    ticks = iter(range(1000))
    progress: list[Progress] = []
    request = make_request("causal-lm")
    result = train(request, progress.append, lambda step, path: None, lambda: False, clock=lambda: float(next(ticks)))
    assert [item.step for item in progress] == [1, 2, 3, 4, 5]
    assert {item.steps for item in progress} == {STEPS}
    assert [item.rows_seen for item in progress] == [6, 12, 18, 24, 30]
    counts = [second.tokens_seen - first.tokens_seen for first, second in itertools.pairwise(progress)]
    assert [item.tokens_per_second for item in progress[1:]] == counts
    assert (result.rows_seen, result.tokens_seen) == (30, progress[-1].tokens_seen)
    assert [point.loss for point in result.losses] == [item.loss for item in progress]
    # 30 rows are three passes over the shard: 50 words and 10 ends of text in each.
    words = sum(len(line.split('"text":"')[1].split()) for line in request.shard.read_text().splitlines())
    assert result.tokens_seen == 3 * (words + 10)


def test_checkpoints_come_every_k_steps_and_the_newest_three_stay(make_request: MakeRequest) -> None:
    request = make_request("causal-lm", steps=9, checkpoint_every=2)
    _, checkpoints, _ = run(request)
    assert list(checkpoints) == [2, 4, 6, 8]
    left = sorted(path.name for path in request.work.glob("checkpoint-*"))
    assert left == [f"checkpoint-{step:06d}.safetensors" for step in (4, 6, 8)]
    assert not list(request.work.glob(".*"))


def test_a_stop_asked_for_after_the_last_step_changes_nothing(make_request: MakeRequest) -> None:
    result, checkpoints, _ = run(make_request("causal-lm"), stop_at=STEPS)
    assert result.finished
    assert checkpoints == {}


def test_bf16_keeps_the_adapter_in_float32(make_request: MakeRequest) -> None:
    request = make_request("sequence-classification", precision="bf16")
    result, checkpoints, _ = run(request, stop_at=2)
    result, _, _ = run(dataclasses.replace(request, resume=checkpoints[2]))
    whole, _, _ = run(make_request("sequence-classification", "whole", precision="bf16"))
    assert result.adapter is not None
    assert {tensor.dtype for tensor in load_file(result.adapter).values()} == {torch.float32}
    assert adapter_bytes(result) == adapter_bytes(whole)
    assert result.environment.precision == "bf16"


def test_the_environment_names_the_instruction_set_and_the_versions(make_request: MakeRequest) -> None:
    result, _, _ = run(make_request("causal-lm", steps=1))
    assert result.environment.device == f"cpu {torch.backends.cpu.get_cpu_capability()}"
    assert result.environment.torch == torch.__version__


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 8}, "seed"),
        ({"steps": 6}, "job"),
        ({"base_adapter": True}, "base_adapter"),
        ({"shard": True}, "shard"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(
    change: dict[str, object], named: str, make_request: MakeRequest, tmp_path: Path
) -> None:
    trained, checkpoints, _ = run(make_request("causal-lm", checkpoint_every=2))
    request = make_request("causal-lm", "other", checkpoint_every=2)
    if "seed" in change:
        request = dataclasses.replace(request, seed=8)
    if "steps" in change:
        request = make_request("causal-lm", "other", checkpoint_every=2, steps=6)
    if "base_adapter" in change:
        request = dataclasses.replace(request, base_adapter=trained.adapter)
    if "shard" in change:
        shard = tmp_path / "other.jsonl"
        shard.write_text(request.shard.read_text() + '{"label":"bad","text":"a"}\n')
        request = dataclasses.replace(request, shard=shard)
    with pytest.raises(TrainingError, match=f"of another run: its {named} is"):
        run(dataclasses.replace(request, resume=checkpoints[2]))


def test_a_damaged_checkpoint_is_refused(make_request: MakeRequest, tmp_path: Path) -> None:
    request = make_request("causal-lm", checkpoint_every=2)
    _, checkpoints, _ = run(request)
    with safe_open(checkpoints[2], framework="pt") as file:
        header = file.metadata()
    good = load_file(checkpoints[2])
    bad = tmp_path / "bad.safetensors"

    def refused(message: str) -> None:
        with pytest.raises(TrainingError, match=message):
            run(dataclasses.replace(request, resume=bad))

    refused("not a readable safetensors file")  # absent
    bad.write_bytes(checkpoints[2].read_bytes()[:-100])
    refused("not a readable safetensors file")
    save_file(good, bad)
    refused("not a training checkpoint")
    save_file(good, bad, {"atlas-training-checkpoint": '{"step": 2}'})
    refused("damaged header")
    key, text = next(iter(header.items()))
    save_file(good, bad, {key: text.replace('"step":2', '"step":3')})
    refused("is inconsistent")
    moment = next(name for name in good if name.startswith("exp_avg."))
    save_file({name: tensor for name, tensor in good.items() if name != moment}, bad, header)
    refused("missing")
    save_file(good | {moment: torch.full_like(good[moment], math.nan)}, bad, header)
    refused("infinite or undefined")
    save_file(good | {"rng.cpu": torch.zeros(3, dtype=torch.uint8)}, bad, header)
    refused("generator state")
    save_file({name: tensor for name, tensor in good.items() if name != "rng.cpu"}, bad, header)
    refused("generator state")


def test_divergence_is_an_error_that_names_the_step(make_request: MakeRequest) -> None:
    request = make_request("causal-lm", learning_rate=1e30, schedule="constant", warmup_steps=0)
    with pytest.raises(DivergedError, match=r"diverged at step \d.* Lower training.learning_rate first"):
        run(request)


def test_a_learning_rate_that_no_step_can_be_taken_at_is_divergence_too(make_request: MakeRequest) -> None:
    request = make_request("causal-lm", learning_rate=1e38, schedule="constant", warmup_steps=0)
    with pytest.raises(DivergedError, match=r"learning rate 1e\+38.* Lower training.learning_rate"):
        run(request)


def test_a_model_that_differs_from_the_manifest_is_refused(make_request: MakeRequest) -> None:
    request = make_request("causal-lm")
    wrong = request.model.model_copy(update={"files": {**request.model.files, "config.json": request.spec.cid}})
    with pytest.raises(CorruptContent, match=r"config\.json"):
        run(dataclasses.replace(request, model=wrong))


def test_lora_targets_that_the_model_lacks_are_refused_with_those_it_has(make_request: MakeRequest) -> None:
    request = make_request("causal-lm")
    lora = request.spec.lora.model_copy(update={"target_modules": ["query"]})
    with pytest.raises(ModelError, match="q_proj"):
        run(dataclasses.replace(request, spec=request.spec.model_copy(update={"lora": lora})))


def _with_length_one(request: TrainRequest) -> TrainRequest:
    training = request.spec.training.model_copy(update={"max_length": 1})
    return dataclasses.replace(request, spec=request.spec.model_copy(update={"training": training}))


def test_rows_without_a_second_token_are_refused_for_a_language_model(make_request: MakeRequest) -> None:
    with pytest.raises(DataError, match=r"None of 10 rows has anything to predict.*max_length is 1\."):
        run(_with_length_one(make_request("causal-lm")))


@pytest.mark.parametrize("device", ["cuda:99", "toaster"])
def test_a_device_that_is_not_there_is_refused(device: str, make_request: MakeRequest) -> None:
    with pytest.raises(TrainingError, match="device"):
        run(dataclasses.replace(make_request("causal-lm"), device=device))


def test_nothing_is_printed(make_request: MakeRequest, capfd: pytest.CaptureFixture[str]) -> None:
    run(make_request("sequence-classification", steps=1))
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""
