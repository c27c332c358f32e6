"""The task: MiniLM is trained to classify the sentiment of sentences from four domains."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from atlas.content.local.store import LocalStore
from atlas.data.prepare import prepare_dataset
from atlas.documents.manifests import DatasetManifest, ModelManifest
from atlas.models.files import model_manifest
from atlas.spec.job import JobSpec
from atlas.spec.recorded_forms import as_opened

LABELS = ["negative", "positive"]
HELD_OUT = 1000


@dataclass(frozen=True)
class Shard:
    """Rows of one node, in a file of JSON lines."""

    key: str
    path: Path
    rows: int


@dataclass(frozen=True)
class Task:
    """A job spec with its data and model; its files are in `home`."""

    home: Path
    seed: int
    steps: int
    batch_size: int
    learning_rate: float
    schedule: str
    shard_by: Mapping[str, Any]
    aggregation: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> "Task":
        """The task from the arguments of a driver."""
        return cls(**{**raw, "home": Path(raw["home"])})

    @cached_property
    def spec(self) -> JobSpec:
        """The spec as an opened job has it, with untrusted nodes."""
        order = JobSpec.from_mapping(
            {
                "name": "benchmark",
                "model": "minilm",
                "dataset": {
                    "source": "package:vader-sentiment",
                    "labels": LABELS,
                    "shard_by": dict(self.shard_by),
                    "holdout_rows": HELD_OUT,
                },
                "lora": {"rank": 8, "alpha": 16},
                "training": {
                    "steps": self.steps,
                    "batch_size": self.batch_size,
                    "learning_rate": self.learning_rate,
                    "schedule": self.schedule,
                    "checkpoint_every": 10**6,
                    "seed": self.seed,
                },
                "aggregation": dict(self.aggregation),
                "payment": {"budget": 10**7, "reward_per_task": 10**5},
            }
        )
        return as_opened(order)

    @property
    def cache(self) -> Path:
        """The folder of downloaded models and data."""
        return self.home / "cache"

    @cached_property
    def model(self) -> ModelManifest:
        """The manifest of the base model."""
        return model_manifest(self.spec.model.source, None, self.cache)

    @cached_property
    def _store(self) -> LocalStore:
        return LocalStore(self.home / "content")

    @cached_property
    def _dataset(self) -> DatasetManifest:
        return prepare_dataset(self.spec.dataset, self._store, self.cache, seed=17)

    @property
    def held_out(self) -> Path:
        """The file of the held-out rows, which are the same for every seed."""
        return self._store.fetch(self._dataset.holdout.cid)

    @cached_property
    def shards(self) -> list[Shard]:
        """The shards as the spec cuts them."""
        return [Shard(one.key, self._store.fetch(one.cid), one.rows) for one in self._dataset.shards]

    def shard_of(self, key: str, rows: Sequence[bytes], folder: str) -> Shard:
        """A shard with the given rows, written to a folder in `home`."""
        path = self.home / folder / f"{key}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        part.write_bytes(b"".join(rows))
        part.replace(path)
        return Shard(key, path, len(rows))


def lines(shard: Shard) -> list[bytes]:
    """The lines of a shard's file."""
    return shard.path.read_bytes().splitlines(keepends=True)


def label_of(line: bytes) -> str:
    """A row's label."""
    return str(json.loads(line)["label"])


def flipped(line: bytes) -> bytes:
    """A row with the other label."""
    row = json.loads(line)
    row["label"] = LABELS[1 - LABELS.index(row["label"])]
    return json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
