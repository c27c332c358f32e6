"""A checkpoint of a finished job as a folder: what its model card says, and what plain libraries make of it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from atlas.content.format.cid import cid_of_bytes
from atlas.content.local.store import LocalStore
from atlas.documents.manifests import Checkpoint, DatasetManifest, Environment, Receipt, ShardManifest, SignedReceipt
from atlas.documents.stored import put_document
from atlas.errors import TrainingError
from atlas.home import AtlasHome
from atlas.models.files import model_manifest
from atlas.rounds.checkpoint import untrained_checkpoint
from atlas.spec.job import JobSpec
from atlas.training.models.adapters import build_adapted_model, load_adapter, save_adapter
from resources.errors import JobNotFound
from resources.jobs.registry import Attempt, JobRegistry, JobRow
from resources.models.export import export_model

ANY = cid_of_bytes(b"any")
TEXTS = ["the film was great", "the phone was awful"]
PROGRAM = """
import json, sys, torch
sys.modules["atlas"] = None
{usage}
inputs = tokenizer({texts}, return_tensors="pt", padding=True)
with torch.no_grad():
    logits = model.eval()(**inputs).logits
print(json.dumps({{"logits": logits.tolist(), "labels": model.config.id2label}}))
"""


class Finished:
    """A job of one round, as its coordinator has it on record."""

    def __init__(self, home: AtlasHome, spec: JobSpec, folder) -> None:
        self.home, self.store, self.spec = home, LocalStore(home.content), spec
        manifest = model_manifest(spec.model.source, None, home.root / "cache")
        shards = [ShardManifest(key=f"s00{at}", cid=ANY, rows=48, bytes=9) for at in range(4)]
        self.dataset = DatasetManifest(
            source=spec.dataset.source, text_column="text", label_column="label", labels=spec.dataset.labels,
            shards=shards, holdout=ShardManifest(key="holdout", cid=ANY, rows=40, bytes=9),
        )  # fmt: skip
        adapted = build_adapted_model(spec, manifest, home.root / "cache", torch.device("cpu"), "fp32")
        path = folder / "adapter.safetensors"
        save_adapter(adapted.model, path)
        job = put_document(self.store, spec)
        start = put_document(self.store, untrained_checkpoint(job, self.store.put(path)))
        torch.manual_seed(8)
        save_file({name: torch.randn(tensor.shape) * 0.3 for name, tensor in load_file(path).items()}, path)
        load_adapter(adapted.model, path)
        inputs = adapted.tokenizer(TEXTS, return_tensors="pt", padding=True)
        with torch.no_grad():
            self.logits = adapted.model.eval()(**inputs).logits
        self.checkpoint = Checkpoint(job=job, round=1, adapter=self.store.put(path), parent=start, manifest=ANY)
        self.cid = put_document(self.store, self.checkpoint)
        row = JobRow(
            spec.name, job, put_document(self.store, manifest), put_document(self.store, self.dataset), start, "c", 1
        )
        registry = JobRegistry(home.jobs_database)
        registry.save_job(row)
        receipt = Receipt(
            task=ANY, task_id="0" * 16, attempt=1, node="atlas1", data=ANY, base=start,
            metrics={start: {"loss": 0.7, "accuracy": 0.5, "rows": 40}, self.cid: {"loss": 0.25, "accuracy": 0.875}},
            environment=Environment(device="c", torch="2", transformers="5", peft="0", platform="x", precision="fp32"),
            started_at=0.0, finished_at=1.0,
        )  # fmt: skip
        signed = put_document(self.store, SignedReceipt(receipt=receipt, public_key="", signature=""))
        registry.record_assigned(row.round(1), Attempt(4, 1, "4", ANY, node_id=7))
        registry.record_completed(row.round(1), 4, 1, signed, signed)


@pytest.fixture
def finished(tiny_spec, tmp_path) -> Finished:
    return Finished(AtlasHome(tmp_path / "home"), JobSpec.load(tiny_spec()), tmp_path)


def usage_of(card: str) -> str:
    return re.search(r"```python\n(.*?)\n```", card, re.DOTALL).group(1)


@pytest.mark.slow
@pytest.mark.parametrize("merged", [False, True])
def test_what_the_card_says_to_use_gives_the_model_in_a_process_without_atlas(finished, tmp_path, merged):
    folder = tmp_path / "export"
    export_model(finished.cid, folder, merged, finished.store, finished.home)
    base = "" if merged else finished.spec.model.source.removeprefix("path:")
    usage = usage_of((folder / "README.md").read_text()).replace("FOLDER", str(folder)).replace("BASE", base)
    hidden = 'sys.modules["peft"] = None\n' if merged else ""
    program = PROGRAM.format(usage=hidden + usage, texts=TEXTS)
    ended = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=tmp_path)
    told = json.loads(ended.stdout.splitlines()[-1])
    torch.testing.assert_close(torch.tensor(told["logits"]), finished.logits, rtol=1e-4, atol=1e-4)
    assert told["labels"] == {"0": "negative", "1": "positive"}
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in folder.rglob("*") if path.is_file())


def test_the_card_says_what_the_model_is_made_of_and_how_to_check_it(finished, tmp_path):
    export_model(finished.cid, tmp_path / "export", False, finished.store, finished.home)
    card = (tmp_path / "export" / "README.md").read_text()
    for told in (
        "library_name: peft",
        "pipeline_tag: text-classification",
        "rows.csv, 192 rows in 4 shards; 40 rows held out. Labels: negative, positive.",
        "| metric | untrained | this checkpoint |",
        "| accuracy | 0.5000 | 0.8750 |",
        "1 of 2 rounds",
        "Licence of the base model: unknown.",
        f"atlas verify {finished.cid} --dataset {finished.dataset.cid}",
        finished.checkpoint.adapter,
        "The base model is a folder that only its owner has",
    ):
        assert told in card
    described = json.loads((tmp_path / "export" / "adapter_config.json").read_text())
    assert described["base_model_name_or_path"] == Path(finished.spec.model.source).name
    for path in (tmp_path / "export").rglob("*"):
        assert path.suffix == ".safetensors" or str(tmp_path.parent) not in path.read_text(), path


def test_a_checkpoint_with_a_changed_base_is_more_than_its_adapter(finished, tmp_path):
    changed = put_document(finished.store, finished.checkpoint.model_copy(update={"merged": [ANY]}))
    with pytest.raises(TrainingError, match=r"has changed the base weights, too .* Export it with --merged"):
        export_model(changed, tmp_path / "export", False, finished.store, finished.home)
    assert not (tmp_path / "export").exists()


def test_a_checkpoint_of_a_job_that_is_not_on_record_is_refused(finished, tmp_path):
    with pytest.raises(JobNotFound, match="was not opened here"):
        export_model(finished.cid, tmp_path / "export", False, finished.store, AtlasHome(tmp_path / "other"))
