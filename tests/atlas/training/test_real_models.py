"""The two packaged models, as a node runs them: separate processes, real weights."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from atlas.content.local.store import LocalStore
from atlas.data.prepare import prepare_dataset
from atlas.models.files import model_manifest
from atlas.spec.job import JobSpec
from atlas.training.evaluate import Candidate, EvaluateRequest, evaluate
from atlas.training.models.base_model import base_model_folder
from atlas.training.models.initialize import initialize
from atlas.training.train import TrainRequest, train
from tests.support.paths import REPOSITORY

pytestmark = pytest.mark.slow

TRAIN_AND_HASH = """
import hashlib, sys
from pathlib import Path
from atlas.models.files import model_manifest
from atlas.spec.job import JobSpec
from atlas.training.models.initialize import initialize
from atlas.training.train import TrainRequest, train

folder, threads = Path(sys.argv[1]), int(sys.argv[2])
spec = JobSpec.load(folder / "job.yaml")
manifest = model_manifest(spec.model.source, None, folder)
initialize(spec, manifest, folder, folder / "base.safetensors", threads)
request = TrainRequest(spec=spec, model=manifest, shard=folder / "shard.jsonl", seed=1,
                       base_adapter=folder / "base.safetensors", work=folder, cache=folder, device="cpu",
                       threads=threads)
result = train(request, lambda progress: None, lambda step, path: None, lambda: False)
print(hashlib.sha256(result.adapter.read_bytes()).hexdigest())
"""


def make_spec(model: str, precision: str = "fp32", **training: object) -> JobSpec:
    return JobSpec.from_mapping(
        {
            "name": "real",
            "model": model,
            "dataset": {
                "source": "package:vader-sentiment",
                "labels": ["negative", "positive"],
                "shard_by": {"rows": 100_000},
                "holdout_rows": 400,
            },
            "lora": {"rank": 8, "alpha": 16, "dropout": 0.1},
            "training": {"precision": precision, **training},
            "payment": {"budget": 1000, "reward_per_task": 1},
        }
    )


def write_rows(path: Path, count: int) -> Path:
    """Sentences of random length from a small vocabulary, lengths that leave partial vector registers included."""
    choose = random.Random(4)
    words = ["the", "film", "plot", "was", "good", "bad", "superb", "awful", "with", "actors", "scene", "story"]
    with path.open("w") as file:
        for _ in range(count):
            text = " ".join(choose.choices(words, k=choose.randint(3, 40)))
            file.write(json.dumps({"label": choose.choice(["negative", "positive"]), "text": text}) + "\n")
    return path


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_two_processes_with_one_and_two_threads_give_the_same_bytes_and_print_nothing(
    precision: str, tmp_path: Path
) -> None:
    spec = make_spec("minilm", precision, steps=3, batch_size=16)
    (tmp_path / "job.yaml").write_bytes(spec.canonical_bytes())
    write_rows(tmp_path / "shard.jsonl", 48)
    digests = set()
    for threads in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", TRAIN_AND_HASH, str(tmp_path), threads],
            check=True,
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
        assert done.stderr == ""
        digests.add(done.stdout)
        assert len(done.stdout.strip()) == 64
    assert len(digests) == 1


def test_minilm_learns_sentiment(tmp_path: Path) -> None:
    spec = make_spec("minilm", steps=75, batch_size=16, schedule="constant")
    store = LocalStore(tmp_path / "content")
    dataset = prepare_dataset(spec.dataset, store, tmp_path / "cache", seed=17)
    manifest = model_manifest(spec.model.source, None, tmp_path / "cache")
    base = tmp_path / "base.safetensors"
    initialize(spec, manifest, tmp_path / "cache", base, threads=1)
    result = train(
        TrainRequest(
            spec=spec,
            model=manifest,
            shard=store.fetch(dataset.shards[0].cid),
            base_adapter=base,
            seed=17,
            work=tmp_path / "work",
            cache=tmp_path / "cache",
            device="cpu",
            threads=1,
        ),
        lambda progress: None,
        lambda step, path: None,
        lambda: False,
    )
    assert result.adapter is not None
    metrics = evaluate(
        EvaluateRequest(
            spec=spec,
            model=manifest,
            rows=store.fetch(dataset.holdout.cid),
            adapters=[Candidate("before", base), Candidate("after", result.adapter)],
            cache=tmp_path / "cache",
            device="cpu",
            threads=1,
        ),
        lambda progress: None,
    ).metrics
    assert metrics["after"]["accuracy"] > 0.70
    assert metrics["after"]["accuracy"] > metrics["before"]["accuracy"]
    assert metrics["after"]["loss"] < metrics["before"]["loss"]


def test_smollm2_is_dequantized_once_and_its_loss_falls(tmp_path: Path) -> None:
    spec = make_spec("smollm2", steps=5, batch_size=4, learning_rate=5e-3, schedule="constant")
    manifest = model_manifest(spec.model.source, None, tmp_path)
    shard = write_rows(tmp_path / "shard.jsonl", 4)
    base = tmp_path / "base.safetensors"
    initialize(spec, manifest, tmp_path, base, threads=1)
    request = TrainRequest(
        spec=spec,
        model=manifest,
        shard=shard,
        base_adapter=base,
        seed=1,
        work=tmp_path / "work",
        cache=tmp_path,
        device="cpu",
        threads=1,
    )
    result = train(request, lambda progress: None, lambda step, path: None, lambda: False)
    assert result.losses[-1].loss < result.losses[0].loss - 0.5
    assert result.adapter is not None
    assert len(load_file(result.adapter)) == 2 * 2 * 30  # A and B of q_proj and v_proj in 30 layers

    (gguf_cid,) = manifest.files.values()
    weights = tmp_path / "dequantized" / gguf_cid / "model.safetensors"
    made = weights.stat().st_mtime_ns
    assert base_model_folder(manifest, tmp_path) == weights.parent
    assert weights.stat().st_mtime_ns == made
