"""How many tokens a model takes, as its configuration says, and whether that is what the model does."""

import subprocess
import sys

import numpy as np
import pytest

from atlas.errors import ModelError
from atlas.spec.model_limits import positions, read_config
from tests.support.paths import REPOSITORY

CONFIGS = [
    ({"model_type": "bert", "max_position_embeddings": 512}, 512),
    ({"model_type": "gpt2", "n_positions": 1024, "n_ctx": 1024}, 1024),
    ({"model_type": "mpt", "max_seq_len": 2048}, 2048),
    ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
    ({"model_type": "roberta", "max_position_embeddings": 130, "pad_token_id": 1}, 128),
    ({"model_type": "xlm-roberta", "max_position_embeddings": 514}, 512),
    ({"model_type": "mpnet", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
    ({"model_type": "opt", "max_position_embeddings": 2048, "pad_token_id": 1}, 2048),
    ({"model_type": "mistral", "max_position_embeddings": 32768, "sliding_window": 4096}, 32768),
    ({"model_type": "llama", "max_position_embeddings": 2048, "rope_scaling": {"type": "linear", "factor": 4.0}}, 8192),
    (
        {
            "model_type": "qwen2",
            "max_position_embeddings": 32768,
            "rope_parameters": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
        },
        131072,
    ),
    (
        {
            "model_type": "llama",
            "max_position_embeddings": 131072,
            "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192},
        },
        131072,
    ),
    (
        {
            "model_type": "gemma3_text",
            "max_position_embeddings": 32768,
            "rope_parameters": {
                "sliding_attention": {"rope_type": "default"},
                "full_attention": {"rope_type": "linear", "factor": 8.0},
            },
        },
        262144,
    ),
    ({"model_type": "gemma3", "text_config": {"max_position_embeddings": 4096}}, 4096),
    ({"model_type": "t5", "n_positions": 512}, None),
    ({"model_type": "falcon", "alibi": True, "max_position_embeddings": 2048}, None),
    ({"model_type": "deberta-v2", "max_position_embeddings": 512, "position_biased_input": False}, None),
    ({"model_type": "deberta-v2", "max_position_embeddings": 512}, 512),
    ({"model_type": "mamba"}, None),
    ({"model_type": "bert", "max_position_embeddings": None}, None),
    ({}, None),
]


@pytest.mark.parametrize(("config", "expected"), CONFIGS)
def test_the_positions_of_a_configuration(config, expected):
    assert positions(config) == expected


def test_models_take_as_many_tokens_as_they_have_positions_and_no_more():
    subprocess.run([sys.executable, "-m", "tests.support.models.model_positions"], check=True, cwd=REPOSITORY)


def test_a_gguf_file_says_how_many_positions_it_has(tmp_path):
    gguf = pytest.importorskip("gguf")
    path = tmp_path / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_array("tokenizer.ggml.tokens", ["a", "bc"])
    writer.add_array("tokenizer.ggml.scores", [0.5, 1.5])
    writer.add_bool("general.flag", True)
    writer.add_context_length(8192)
    writer.add_tensor("weight", np.zeros(4, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert positions(read_config({"tiny.gguf": path})) == 8192


@pytest.mark.parametrize("content", [b"", b"GGUF", b"nonsense", b"GGUF\x03\0\0\0" + b"\x01" * 30])
def test_a_file_that_is_no_gguf_is_refused_by_name(content, tmp_path):
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"bad\.gguf"):
        read_config({"bad.gguf": path})


def test_a_configuration_that_is_no_json_is_refused_by_name(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json cannot be read"):
        read_config({"config.json": tmp_path / "config.json"})
