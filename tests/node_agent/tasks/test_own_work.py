"""A trainer that the coordinator starts itself and that makes no progress does not block it forever."""

import os
import sys
from pathlib import Path

import psutil
import pytest

from atlas.documents.manifests import ModelManifest
from atlas.spec.job import JobSpec
from node_agent.errors import TrainerFailed
from node_agent.tasks import run_here as own_work
from node_agent.tasks.trainer_files import TrainerOrder

CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"


def order(folder: Path, progress_seconds: int) -> TrainerOrder:
    spec = JobSpec.from_mapping(
        {
            "name": "own",
            "model": "minilm",
            "dataset": {"source": "rows.csv", "labels": ["no", "yes"], "shard_by": {"rows": 1}},
            "fleet": {"progress_seconds": progress_seconds},
            "payment": {"budget": 10, "reward_per_task": 1},
        }
    )
    model = ModelManifest(source="package:minilm", revision=None, files={"config.json": CID})
    return TrainerOrder(
        kind="initialize", task_id="own", spec=spec, model=model, cache=folder, threads=1, device="cpu",
        parent=os.getpid(),
    )  # fmt: skip


def test_a_worker_that_gives_no_sign_is_killed_and_its_end_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import os, time; open('pid', 'w').write(str(os.getpid())); print('starting', flush=True); time.sleep(600)"
    monkeypatch.setattr(own_work, "trainer_command", lambda *arguments: [sys.executable, "-c", code])
    with pytest.raises(TrainerFailed, match="trainer of task own made no progress for 2 s"):
        own_work.run_trainer(order(tmp_path, 2), tmp_path / "work", os.environ)
    assert not psutil.pid_exists(int((tmp_path / "work" / "pid").read_text()))


def test_a_worker_may_take_long_while_it_gives_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys, time\nfor _ in range(16):\n print('a stage', flush=True)\n time.sleep(0.2)\nsys.exit(3)"
    monkeypatch.setattr(own_work, "trainer_command", lambda *arguments: [sys.executable, "-c", code])
    with pytest.raises(TrainerFailed, match="ended with exit code 3"):
        own_work.run_trainer(order(tmp_path, 2), tmp_path / "work", os.environ)
