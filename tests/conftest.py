"""Fixtures that every suite shares: a tiny model, tiny data, and job specs over them."""

import csv
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, settings

from tests.support.content.kubo_nodes import KuboNodes, kubo_binary, kubo_nodes
from tests.support.models.tiny import FILLERS, WORDS
from tests.support.paths import REPOSITORY

pytest_plugins = ["tests.support.jobs.coordinator"]

# A loaded machine is slow, which says nothing about the code.
settings.register_profile("any-speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-speed")


WITH_PROCESSES = ("slow", "system", "browser", "wasmd", "kubo")
LATE = ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that start processes may leave their pipes to the collector; all other warnings are errors in every test.

    The system tests take minutes each. They come first, so that two workers end at about the same time.
    """
    for item in items:
        if any(item.get_closest_marker(mark) for mark in WITH_PROCESSES):
            for category in LATE:
                item.add_marker(pytest.mark.filterwarnings(f"default::{category}"))
    items.sort(key=lambda item: item.get_closest_marker("system") is None)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A folder with a random two-layer BERT, built in its own process so that this one stays without torch."""
    folder = tmp_path_factory.mktemp("tiny-model")
    subprocess.run([sys.executable, "-m", "tests.support.models.tiny", folder], check=True, cwd=REPOSITORY)
    return folder


@pytest.fixture(scope="session")
def tiny_csv(tmp_path_factory) -> Path:
    """240 rows in four domains whose label is told by one word."""
    rng = random.Random(5)
    path = tmp_path_factory.mktemp("tiny-data") / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "domain"])
        for number in range(240):
            label = "positive" if number % 2 else "negative"
            words = [*rng.sample(FILLERS, 4), rng.choice(WORDS[label])]
            rng.shuffle(words)
            writer.writerow([" ".join(words), label, ("books", "films", "phones", "shops")[number // 2 % 4]])
    return path


@pytest.fixture
def tiny_spec(tiny_model, tiny_csv, tmp_path):
    """Write a valid job spec over the tiny model and data; `tiny_spec(training={"steps": 4})` merges sections."""

    def write(**changes) -> Path:
        spec = {
            "name": "tiny",
            "model": {"source": f"path:{tiny_model}", "task": "sequence-classification"},
            "dataset": {
                "source": str(tiny_csv),
                "labels": ["negative", "positive"],
                "shard_by": {"column": "domain"},
                "holdout_fraction": 0.2,
            },
            "lora": {"rank": 4, "alpha": 8, "target_modules": ["query", "value"]},
            "training": {"steps": 8, "batch_size": 4, "max_length": 16, "learning_rate": 0.01, "checkpoint_every": 2},
            "rounds": 2,
            "payment": {"budget": 1_000_000, "reward_per_task": 100_000},
        }
        for section, value in changes.items():
            nested = isinstance(value, dict) and isinstance(spec.get(section), dict)
            spec[section] = {**spec[section], **value} if nested else value
        path = tmp_path / f"{spec['name']}.yaml"
        path.write_text(yaml.safe_dump(spec))
        return path

    return write


@pytest.fixture(scope="session")
def kubo_is_built() -> None:
    """Skips where there is no Kubo."""
    if kubo_binary() is None:
        pytest.skip("Kubo is not built on this machine: run scripts/kubo build")


@pytest.fixture(scope="session")
def kubo(tmp_path_factory, kubo_is_built) -> Iterator[KuboNodes]:
    """Three IPFS nodes that all tests share, so put content of your own there."""
    with kubo_nodes(tmp_path_factory.mktemp("kubo") / "home", 3) as nodes:
        yield nodes
