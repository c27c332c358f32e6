"""What holds for every registered strategy, rule, optimizer and codec, also for the next one."""

import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from atlas.aggregation.aggregate import aggregate_files
from atlas.aggregation.compression.registry import CODECS
from atlas.aggregation.inputs import RoundInputs, Update
from atlas.aggregation.outer.registry import OPTIMIZERS
from atlas.aggregation.robust.registry import RULES
from atlas.aggregation.settings import AggregationSpec
from atlas.aggregation.strategies.registry import STRATEGIES
from tests.support.paths import REPOSITORY

FACTORS = {
    "model.layer.0.query": (".lora_A.weight", ".lora_B.weight"),
    "model.layer.1.value": (".lora_A.weight", ".lora_B.weight"),
    "model.embed_tokens": (".lora_embedding_A", ".lora_embedding_B"),
}
MODULES = {"model.layer.0.query": (24, 16), "model.layer.1.value": (16, 40), "model.embed_tokens": (12, 30)}
FROZEN = {"A": (".lora_A.weight", ".lora_embedding_B"), "B": (".lora_B.weight", ".lora_embedding_A")}
RANK, SCALING = 4, 2.0


def write_adapter(path: Path, seed: int, drift: float, base: dict | None = None, without: str | None = None) -> Path:
    rng = np.random.default_rng(seed)
    shapes = {"model.classifier.weight": (2, 16)}
    for module, (rows, columns) in MODULES.items():
        a, b = FACTORS[module]
        shapes |= {module + a: (RANK, columns), module + b: (rows, RANK)}
    tensors = {
        name: ((base[name] if base else 0) + rng.normal(0, drift, shape)).astype(np.float32)
        for name, shape in sorted(shapes.items())
        if without is None or not name.endswith(FROZEN[without])
    }
    save_file(tensors, path, metadata={"format": "pt"})
    return path


def write_round(folder: Path, settings: AggregationSpec, round_: int = 1, updates: int = 5) -> RoundInputs:
    """A round's files; what they hold depends on nothing but the settings and the round."""
    frozen = settings.method.frozen_factor(round_)
    base = write_adapter(folder / "base", seed=0, drift=0.3)
    needs_reference = settings.robust.rule in RULES and RULES[settings.robust.rule].needs_reference

    def update(index: int) -> Path:
        return write_adapter(folder / f"update{index}", index + 1, 0.1, load_file(base), frozen)

    return RoundInputs(
        settings=settings,
        round=round_,
        seed="a round",
        scaling=SCALING,
        base=base,
        updates=tuple(Update(f"s{index:03d}", update(index), 10 + index) for index in range(updates)),
        reference=update(99) if needs_reference else None,
    )


def all_digests(folder: Path) -> dict[str, list[str]]:
    found = {}
    for settings in combinations():
        place = folder / name_of(settings)
        place.mkdir(parents=True)
        made = aggregate_files(write_round(place, settings), place)
        files = [made.adapter, made.merged, made.optimizer]
        found[name_of(settings)] = [hashlib.sha256(file.read_bytes()).hexdigest() if file else "none" for file in files]
    return found


def combinations() -> list[AggregationSpec]:
    """Every strategy with every rule and optimizer that goes with it, one after the other."""
    columns = {name for name, rule in RULES.items() if rule.columns}
    found = []
    for name, strategy in STRATEGIES.items():
        rules = [rule for rule in ("none", *RULES) if strategy.flat or rule not in columns]
        found += [AggregationSpec.model_validate({"strategy": name, "robust": rule}) for rule in rules]
        if strategy.flat:
            found += [AggregationSpec.model_validate({"strategy": name, "outer": outer}) for outer in OPTIMIZERS]
    return [spec if spec.robust.rule != "auto" else _without_rule(spec) for spec in found]


def _without_rule(spec: AggregationSpec) -> AggregationSpec:
    return spec.model_copy(update={"robust": spec.robust.model_copy(update={"rule": "none"})})


def name_of(spec: AggregationSpec) -> str:
    return f"{spec.strategy}-{spec.robust.rule}-{spec.outer.optimizer}"


@pytest.mark.parametrize("settings", combinations(), ids=name_of)
@pytest.mark.parametrize("round_", [1, 2])
def test_the_adapter_keeps_its_form_and_moves(settings, round_, tmp_path):
    inputs = write_round(tmp_path, settings, round_)
    found = aggregate_files(inputs, tmp_path)
    before, after = load_file(inputs.base), load_file(found.adapter)
    assert {name: (part.dtype, part.shape) for name, part in after.items()} == {
        name: (part.dtype, part.shape) for name, part in before.items()
    }
    assert all(np.isfinite(part).all() for part in after.values())
    assert any(not np.array_equal(after[name], before[name]) for name in after)
    frozen = settings.method.frozen_factor(round_)
    for name in after:
        if frozen and name.endswith(FROZEN[frozen]):
            np.testing.assert_array_equal(after[name], before[name])


def test_the_bytes_are_those_of_another_process_with_two_threads(tmp_path):
    here = all_digests(tmp_path / "here")
    environment = {
        "OMP_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONHASHSEED": "7",
    }
    command = [sys.executable, __file__, str(tmp_path / "there")]
    there = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(there.stdout) == here


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_equal_updates_give_what_one_gives(strategy, tmp_path):
    settings = _without_rule(AggregationSpec(strategy=strategy))
    inputs = write_round(tmp_path, settings, updates=1)
    (only,) = inputs.updates
    many = tuple(dataclasses.replace(only, shard=f"s{index:03d}", weight=index + 1) for index in range(3))
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    one = aggregate_files(inputs, tmp_path / "one")
    three = aggregate_files(dataclasses.replace(inputs, updates=many), tmp_path / "many")
    for module, product in products(one, inputs).items():
        np.testing.assert_allclose(products(three, inputs)[module], product, rtol=1e-4, atol=1e-5)


def products(found, inputs: RoundInputs) -> dict[str, np.ndarray]:
    """What the model's weights change by: merged factors and adapter, per module; other tensors as they are."""
    adapter = {name: part.astype(np.float64) for name, part in load_file(found.adapter).items()}
    merged = {name: part.astype(np.float64) for name, part in (load_file(found.merged) if found.merged else {}).items()}
    changes = {}
    for module in MODULES:
        a, b = (module + suffix for suffix in FACTORS[module])
        changes[module] = inputs.scaling * adapter[b] @ adapter[a]
        if a in merged:
            changes[module] = changes[module] + merged[b] @ merged[a]
    return changes | {name: part for name, part in adapter.items() if ".lora_" not in name}


@pytest.mark.parametrize("name", [*STRATEGIES, *RULES, *OPTIMIZERS, *CODECS])
def test_every_name_is_explained(name):
    pages = [REPOSITORY / "docs" / page for page in ("add-a-strategy.md", "choose-an-aggregation.md")]
    assert any(f"`{name}`" in page.read_text() for page in pages)


@pytest.mark.parametrize("registry", [STRATEGIES, RULES, OPTIMIZERS, CODECS])
def test_entries_are_listed_by_their_own_names(registry):
    assert {name: entry.name for name, entry in registry.items()} == {name: name for name in registry}
    assert all(entry.summary and not entry.summary.endswith("\n") for entry in registry.values())


if __name__ == "__main__":
    print(json.dumps(all_digests(Path(sys.argv[1]))))
