"""Tiny random models with a tokenizer made in code, and a shard to train on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

from atlas.documents.manifests import ModelManifest
from atlas.models.files import model_manifest
from atlas.spec.job import JobSpec
from atlas.training.models.initialize import initialize
from tests.support.models.tiny_words import WORDS, save_tokenizer


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder without a head, as MiniLM is."""
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    save_tokenizer(folder, "[CLS] $A [SEP]")
    return folder


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llama")
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    save_tokenizer(folder, "$A")
    return folder


@pytest.fixture(scope="session")
def folder_of(bert_folder: Path, llama_folder: Path) -> dict[str, Path]:
    return {"sequence-classification": bert_folder, "causal-lm": llama_folder}


@pytest.fixture(scope="session")
def spec_of(folder_of: dict[str, Path]) -> Callable[..., JobSpec]:
    """A spec for a task type; keyword arguments override its training section."""

    def build(task: str, dropout: float = 0.2, aggregation: dict[str, Any] | None = None, **training: Any) -> JobSpec:
        targets = ["query", "value"] if task == "sequence-classification" else ["q_proj", "v_proj"]
        settings = {"steps": 5, "batch_size": 3, "gradient_accumulation": 2, "checkpoint_every": 100, **training}
        return JobSpec.from_mapping(
            {
                "name": "tiny",
                "model": {"source": f"path:{folder_of[task]}", "task": task},
                "dataset": {"source": "rows.jsonl", "labels": ["bad", "good"], "shard_by": {"rows": 100}},
                "lora": {"rank": 4, "alpha": 8, "dropout": dropout, "target_modules": targets},
                "training": {"weight_decay": 0.01, "warmup_steps": 1, **settings},
                "evaluation": {"batch_size": 4},
                "aggregation": aggregation or {},
                "payment": {"budget": 1000, "reward_per_task": 1},
            }
        )

    return build


@pytest.fixture(scope="session")
def manifest_of(folder_of: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelManifest]:
    cache = tmp_path_factory.mktemp("manifests")
    return {task: model_manifest(f"path:{folder}", None, cache) for task, folder in folder_of.items()}


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def untrained(
    manifest_of: dict[str, ModelManifest], cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[JobSpec], Path]:
    """The untrained adapter of a spec, as round 0 has it."""
    made: dict[str, Path] = {}

    def of(spec: JobSpec) -> Path:
        if spec.cid not in made:
            made[spec.cid] = tmp_path_factory.mktemp("untrained") / "adapter.safetensors"
            initialize(spec, manifest_of[spec.model.task], cache, made[spec.cid], threads=None)
            torch.use_deterministic_algorithms(False)
        return made[spec.cid]

    return of


@pytest.fixture(scope="session")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten labelled rows of different lengths."""
    path = tmp_path_factory.mktemp("shard") / "s000.jsonl"
    rows = [
        {"label": "good", "text": "a good film"},
        {"label": "bad", "text": "bad plot"},
        {"label": "good", "text": "a b c d e f g h fine end"},
        {"label": "bad", "text": "poor poor film a b c"},
        {"label": "good", "text": "good"},
        {"label": "bad", "text": "h g f e d bad end a b c d"},
        {"label": "good", "text": "fine fine plot"},
        {"label": "bad", "text": "the bad end"},
        {"label": "good", "text": "a good good good end"},
        {"label": "bad", "text": "c d e poor"},
    ]
    path.write_text("".join(json.dumps(row, sort_keys=True, separators=(",", ":")) + "\n" for row in rows))
    return path


@pytest.fixture(autouse=True)
def _torch_as_it_was() -> Any:
    """Training makes the process deterministic and may set its threads; the next test starts from torch's defaults."""
    threads = torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)
