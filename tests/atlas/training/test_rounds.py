"""What a round may ask of training besides its data: a frozen factor, a lower rank, a pull towards the base."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from atlas.aggregation.strategies.registry import STRATEGIES
from atlas.documents.manifests import ModelManifest
from atlas.errors import TrainingError
from atlas.spec.job import JobSpec
from atlas.training.schedules import learning_rate
from atlas.training.tasks.rows import read_rows, row_order
from atlas.training.train import TrainRequest, TrainResult, train

TASK = "sequence-classification"
MakeRequest = Callable[..., TrainRequest]


def run(request: TrainRequest, stop_at: int | None = None) -> tuple[TrainResult, Path | None]:
    """Train, and the last checkpoint if there is one."""
    steps: list[int] = []
    kept: list[Path] = []

    def keep(step: int, path: Path) -> None:
        kept.append(Path(shutil.copy(path, request.work / f"kept-{step}.safetensors")))

    result = train(request, lambda p: steps.append(p.step), keep, lambda: steps[-1] == stop_at)
    return result, kept[-1] if kept else None


def tensors(result: TrainResult) -> dict[str, torch.Tensor]:
    assert result.adapter is not None
    return load_file(result.adapter)


def factors(found: dict[str, torch.Tensor]) -> set[str]:
    return {factor for factor in "AB" for name in found if f".lora_{factor}." in name}


@pytest.fixture
def make_request(
    tmp_path: Path,
    cache: Path,
    shard: Path,
    spec_of: Callable[..., JobSpec],
    manifest_of: dict[str, ModelManifest],
    untrained: Callable[[JobSpec], Path],
) -> MakeRequest:
    """A request whose base adapter has no zeros in B, as after a first round."""

    def make(name: str = "work", **settings: object) -> TrainRequest:
        work = tmp_path / name
        work.mkdir(exist_ok=True)
        spec = spec_of(TASK, **settings)
        generator = torch.Generator().manual_seed(5)
        start = {
            key: tensor + 0.1 * torch.randn(tensor.shape, generator=generator)
            for key, tensor in load_file(untrained(spec)).items()
        }
        base = tmp_path / "base.safetensors"
        save_file(dict(sorted(start.items())), base, {"format": "pt"})
        return TrainRequest(
            spec=spec,
            model=manifest_of[TASK],
            shard=shard,
            base_adapter=base,
            seed=7,
            work=work,
            cache=cache,
            device="cpu",
            threads=1,
        )

    return make


@pytest.mark.parametrize(("strategy", "round_", "trained"), [("ffa", 1, "B"), ("rolora", 1, "B"), ("rolora", 2, "A")])
def test_a_frozen_factor_stays_and_is_not_sent(
    strategy: str, round_: int, trained: str, make_request: MakeRequest
) -> None:
    request = make_request(aggregation={"strategy": strategy})
    frozen = request.spec.aggregation.method.frozen_factor(round_)
    whole, sent = (tensors(run(dataclasses.replace(request, frozen=f))[0]) for f in (None, frozen))
    base = load_file(request.base_adapter)
    assert factors(sent) == {trained}
    assert {name for name in base if ".lora_" not in name} <= sent.keys()
    assert not any(torch.equal(sent[name], base[name]) for name in sent)
    assert factors(whole) == {"A", "B"}

    # The model that trained had the frozen factor of the base in it: with another one there, other numbers come out.
    other = {name: tensor + 0.5 if f".lora_{frozen}." in name else tensor for name, tensor in base.items()}
    path = request.work / "other.safetensors"
    save_file(other, path)
    moved = tensors(run(dataclasses.replace(request, frozen=frozen, base_adapter=path))[0])
    assert any(not torch.equal(moved[name], sent[name]) for name in sent)


def test_ffa_halves_what_travels(make_request: MakeRequest) -> None:
    request = make_request()
    whole, half = (tensors(run(dataclasses.replace(request, frozen=frozen))[0]) for frozen in (None, "A"))
    lora = [sum(t.numel() for name, t in found.items() if ".lora_" in name) for found in (whole, half)]
    assert lora[1] * 2 == lora[0]


def test_a_frozen_factor_gives_the_first_step_of_plain_training(make_request: MakeRequest) -> None:
    request = make_request(steps=1, warmup_steps=0, max_grad_norm=1e9, dropout=0.0, gradient_accumulation=1)
    whole, half = (tensors(run(dataclasses.replace(request, frozen=frozen))[0]) for frozen in (None, "B"))
    assert factors(half) == {"A"}
    for name, tensor in half.items():
        torch.testing.assert_close(tensor, whole[name], rtol=0, atol=1e-7)


@pytest.mark.parametrize("settings", [{"frozen": "A"}, {"rank": 2}, {"frozen": "B", "rank": 3}])
def test_such_a_run_resumes_to_the_same_bytes_and_only_as_itself(
    settings: dict[str, object], make_request: MakeRequest
) -> None:
    request = dataclasses.replace(make_request(proximal=0.5), **settings)
    whole, _ = run(request)
    _, checkpoint = run(request, stop_at=2)
    assert checkpoint is not None
    if "frozen" in settings:
        assert not any(f".lora_{settings['frozen']}." in name for name in load_file(checkpoint))
    again, _ = run(dataclasses.replace(request, resume=checkpoint))
    assert whole.adapter is not None
    assert again.adapter is not None
    assert again.adapter.read_bytes() == whole.adapter.read_bytes()
    assert again.losses == whole.losses
    with pytest.raises(TrainingError, match=r"of another run: its (frozen|rank) is"):
        run(dataclasses.replace(request, frozen=None, rank=None, resume=checkpoint))


def test_a_lower_rank_starts_from_the_leading_part_of_the_base(make_request: MakeRequest) -> None:
    request = dataclasses.replace(make_request(steps=1, learning_rate=1e-12), rank=2)
    base, found = load_file(request.base_adapter), tensors(run(request)[0])
    assert found.keys() == base.keys()
    for name, tensor in found.items():
        expected = base[name]
        if ".lora_" in name:
            expected = expected[:2] if ".lora_A." in name else expected[:, :2]
        torch.testing.assert_close(tensor, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_at_a_lower_rank_the_product_counts_as_much(rank: int, make_request: MakeRequest) -> None:
    """An adapter whose other directions are empty is the same model at both ranks, if alpha / rank is the same."""
    request = make_request(steps=1, dropout=0.0)
    base = load_file(request.base_adapter)
    empty = {
        name: torch.cat([t[:, :rank], torch.zeros_like(t[:, rank:])], 1) if ".lora_B." in name else t
        for name, t in base.items()
    }
    path = request.work / "empty.safetensors"
    save_file(empty, path)
    full, low = (run(dataclasses.replace(request, base_adapter=path, rank=r))[0].losses[0].loss for r in (None, rank))
    assert low == pytest.approx(full, rel=1e-6)


def test_the_full_rank_named_gives_the_bytes_of_none_named(make_request: MakeRequest) -> None:
    request = make_request(steps=2)
    first = run(request)[0].adapter
    assert first is not None
    expected = first.read_bytes()
    second = run(dataclasses.replace(request, rank=4))[0].adapter
    assert second is not None
    assert second.read_bytes() == expected


def test_a_base_of_another_rank_is_refused_whatever_the_rank_of_the_task(make_request: MakeRequest) -> None:
    request = make_request()
    base = load_file(request.base_adapter)
    wide = {
        name: torch.cat([t, t], 0) if ".lora_A." in name else torch.cat([t, t], 1) if ".lora_B." in name else t
        for name, t in base.items()
    }
    path = request.work / "wide.safetensors"
    save_file(wide, path)
    for rank in (None, 2):
        with pytest.raises(TrainingError, match=r"found float32.8, 32."):
            run(dataclasses.replace(request, base_adapter=path, rank=rank))
    with pytest.raises(TrainingError, match=r"expected float32.5, 32., found float32.4, 32."):
        run(dataclasses.replace(request, rank=5))


def test_every_strategy_has_a_round_that_trains(make_request: MakeRequest) -> None:
    for name, strategy in STRATEGIES.items():
        for round_ in range(1, len(strategy.frozen) + 1):
            frozen = strategy.frozen_factor(round_)
            request = make_request(f"{name}-{round_}", steps=1, aggregation={"strategy": name})
            sent = tensors(run(dataclasses.replace(request, frozen=frozen))[0])
            assert factors(sent) == {"A", "B"} - {frozen}, name


def test_the_proximal_term_is_that_of_a_hand_written_loop(make_request: MakeRequest, bert_folder: Path) -> None:
    """FedProx, eq. 2 of arXiv:1812.06127, by autograd: loss + mu/2 * |w - w0|^2, with clipping after it."""
    strength = 30.0
    request = make_request(
        dropout=0.0, learning_rate=1e-2, proximal=strength, max_grad_norm=0.5, weight_decay=0.0, warmup_steps=0
    )
    spec, rows = request.spec, read_rows(request.shard, request.spec)
    result, _ = run(request)

    config = LoraConfig(
        task_type="SEQ_CLS", r=4, lora_alpha=8, target_modules=["query", "value"], modules_to_save=["classifier"]
    )
    model = get_peft_model(AutoModelForSequenceClassification.from_pretrained(bert_folder, num_labels=2), config).eval()
    base = load_file(request.base_adapter)
    weights = {}
    for long_name, parameter in model.named_parameters():
        if parameter.requires_grad:
            name = long_name.replace(".modules_to_save.default.", ".").replace(".default.", ".")
            weights[name] = parameter
            parameter.data.copy_(base[name])
    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    optimizer = torch.optim.AdamW(weights.values(), weight_decay=0.0)
    losses, pulls = [], []
    for step in range(spec.training.steps):
        picked = row_order(len(rows), request.seed, 6 * spec.training.steps)[6 * step : 6 * step + 6]
        batch = [rows[index] for index in picked]
        inputs = tokenizer([row.text for row in batch], return_tensors="pt", padding=True)
        loss = model(**inputs, labels=torch.tensor([row.label for row in batch])).loss
        pull = sum(((parameter - base[name]) ** 2).sum() for name, parameter in weights.items())
        (loss + strength / 2 * pull).backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), 0.5)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, spec.training)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        pulls.append(float(pull.detach()))

    assert [point.loss for point in result.losses] == pytest.approx(losses, rel=1e-4)  # the task's own loss
    found = tensors(result)
    free = tensors(run(make_request("free", **{**vars_of(spec), "proximal": 0.0}))[0])
    for name, parameter in weights.items():
        torch.testing.assert_close(found[name], parameter.detach(), rtol=1e-2, atol=1e-4)

    def moved(adapter: dict[str, torch.Tensor]) -> float:
        return sum(float(((adapter[name] - base[name]) ** 2).sum()) for name in base) ** 0.5

    assert pulls[-1] > 0
    assert moved(found) < 0.8 * moved(free)


def vars_of(spec: JobSpec) -> dict[str, object]:
    names = ("learning_rate", "max_grad_norm", "weight_decay", "warmup_steps")
    return {"dropout": 0.0, **{name: getattr(spec.training, name) for name in names}}


def test_no_pull_gives_the_bytes_of_training_without_it(make_request: MakeRequest) -> None:
    plain, none = (run(make_request(name, steps=2, **more))[0] for name, more in (("a", {}), ("b", {"proximal": 0.0})))
    assert plain.adapter is not None
    assert none.adapter is not None
    assert plain.adapter.read_bytes() == none.adapter.read_bytes()
