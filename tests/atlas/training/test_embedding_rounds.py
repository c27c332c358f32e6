"""Whole rounds of a model with tied weights whose embeddings and head carry LoRA, by every strategy."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from atlas.aggregation.gates.gates import Inspected, inspect_update
from atlas.aggregation.strategies.registry import STRATEGIES
from atlas.content.format.cid import cid_of_file
from atlas.content.local.store import LocalStore
from atlas.documents.manifests import AcceptedUpdate, Checkpoint, RoundManifest
from atlas.documents.stored import put_document
from atlas.models.files import model_manifest
from atlas.rounds.checkpoint import aggregate_round, recompute, untrained_checkpoint
from atlas.spec.job import JobSpec
from atlas.training.evaluate import Candidate, EvaluateRequest, evaluate
from atlas.training.export.merged_model import export_merged
from atlas.training.models.adapters import build_adapted_model, load_adapter
from atlas.training.models.initialize import initialize
from atlas.training.models.merged import MergedFactors
from atlas.training.train import TrainRequest, train
from tests.support.models.tiny_words import WORDS, save_tokenizer

RANK, LOW = 4, 2
MIXED = [name for name, strategy in STRATEGIES.items() if strategy.mixed_ranks]


class Job:
    """A job whose two shards are trained, gated and aggregated here."""

    def __init__(self, folder: Path, rows: Path, strategy: str, **lora: object) -> None:
        self.folder, self.rows, self.store = folder, rows, LocalStore(folder / "store")
        torch.manual_seed(2)
        shape = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24, "hidden_size": 16}
        LlamaForCausalLM(LlamaConfig(vocab_size=len(WORDS), tie_word_embeddings=True, **shape)).save_pretrained(folder)
        save_tokenizer(folder, "$A")
        targets = ["q_proj", "embed_tokens", "lm_head"]
        self.spec = JobSpec.from_mapping(
            {
                "name": "tied",
                "model": {"source": f"path:{folder}", "task": "causal-lm"},
                "dataset": {"source": "rows.jsonl", "label_column": None, "shard_by": {"rows": 100}},
                "lora": {"rank": RANK, "alpha": 8, "target_modules": targets, **lora},
                "training": {"steps": 3, "batch_size": 4, "learning_rate": 0.05, "max_length": 12},
                "aggregation": {"strategy": strategy, "robust": "none"},
                "payment": {"budget": 1000, "reward_per_task": 1},
            }
        )
        self.model = model_manifest(f"path:{folder}", None, folder)
        initialize(self.spec, self.model, folder, folder / "start.safetensors", threads=1)
        put_document(self.store, self.spec)
        self.checkpoint = untrained_checkpoint(self.spec.cid, self.store.put(folder / "start.safetensors"))

    def play(self, number: int) -> None:
        frozen = self.spec.aggregation.method.frozen_factor(number)
        base = self.store.fetch(self.checkpoint.adapter)
        base_cid = put_document(self.store, self.checkpoint)
        updates = []
        for slot, shard in enumerate(("s000", "s001")):
            rank = self.spec.lora.rank_of(shard)
            work = self.folder / f"work-{number}-{slot}"
            merged = tuple(self.store.fetch(cid) for cid in self.checkpoint.merged)
            request = TrainRequest(
                spec=self.spec, model=self.model, shard=self.rows, base_adapter=base, seed=slot, work=work,
                cache=self.folder, merged=merged, frozen=frozen, rank=rank, device="cpu", threads=1,
            )  # fmt: skip
            adapter = train(request, lambda p: None, lambda step, path: None, lambda: False).adapter
            assert adapter is not None
            assert isinstance(inspect_update(adapter, base, frozen, rank, base_cid), Inspected)
            cid = self.store.put(adapter)
            updates.append(AcceptedUpdate(shard=shard, data=cid_of_file(self.rows), adapter=cid, weight=slot + 1))
        manifest = RoundManifest(
            job=self.spec.cid, round=number, base=base_cid, strategy=self.spec.aggregation.strategy, updates=updates
        )
        _, self.checkpoint = aggregate_round(manifest, self.store)
        assert recompute(manifest, self.store, cid_of_file) == self.checkpoint

    def merged(self, checkpoint: Checkpoint) -> list[Path]:
        return [self.store.fetch(cid) for cid in checkpoint.merged]


@pytest.fixture
def job(tmp_path: Path, shard: Path) -> Callable[..., Job]:
    return lambda strategy, **lora: Job(tmp_path, shard, strategy, **lora)


def module_of(name: str) -> str:
    return name.partition(".lora_")[0].rpartition(".")[2]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_rounds_train_every_module_and_the_export_is_the_model_that_was_judged(strategy, job) -> None:
    one = job(strategy)
    start = one.store.fetch(one.checkpoint.adapter)
    first = Candidate("start", start)
    one.play(1)
    after = one.store.fetch(one.checkpoint.adapter)
    if one.checkpoint.merged:
        changed = {module_of(name) for name in load_file(one.merged(one.checkpoint)[0])}
    else:
        old, new = load_file(start), load_file(after)
        changed = {module_of(name) for name in old if not torch.equal(old[name], new[name])}
    assert changed == {"q_proj", "embed_tokens", "lm_head"}
    one.play(2)
    adapter, factors = one.store.fetch(one.checkpoint.adapter), one.merged(one.checkpoint)

    request = EvaluateRequest(
        one.spec, one.model, one.rows, [first, Candidate("end", adapter, tuple(factors))], one.folder, threads=1
    )
    metrics = evaluate(request, lambda p: None).metrics
    assert metrics["end"]["loss"] < metrics["start"]["loss"]

    adapted = build_adapted_model(one.spec, one.model, one.folder, torch.device("cpu"), "fp32")
    MergedFactors(adapted.model).use(factors)
    load_adapter(adapted.model, adapter)
    export_merged(one.spec, one.model, adapter, factors, one.folder, one.folder / "out")
    ids = torch.arange(5, 15)[None]
    with torch.no_grad():
        expected = adapted.model.eval()(input_ids=ids).logits
        found = AutoModelForCausalLM.from_pretrained(one.folder / "out").eval()(input_ids=ids).logits
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("strategy", MIXED)
def test_a_shard_of_a_lower_rank_trains_the_leading_part_of_an_embedding_s_factors(strategy, job) -> None:
    one = job(strategy, shard_ranks={"s001": LOW})
    start = one.store.fetch(one.checkpoint.adapter)
    one.play(1)
    low = load_file(one.folder / "work-1-1" / "adapter.safetensors")
    assert {tuple(tensor.shape) for name, tensor in low.items() if "lora_embedding_A" in name} == {(LOW, len(WORDS))}
    assert {tuple(tensor.shape) for name, tensor in low.items() if "lora_embedding_B" in name} == {(16, LOW)}
    found = load_file(one.store.fetch(one.checkpoint.adapter))
    assert {name: tensor.shape for name, tensor in found.items()} == {
        name: tensor.shape for name, tensor in load_file(start).items()
    }
