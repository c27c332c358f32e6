import numpy as np
import pytest
from gguf import GGUFWriter
from safetensors.numpy import save

from atlas.models.license import base_license


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(save({"weight": np.zeros(1, np.float32)}))
    return tmp_path


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("---\nlicense: apache-2.0\n---\n# Model", "apache-2.0"),
        ("---\nlanguage: en\n---\n", None),
        ("---\n- a list\n---\n", None),
        ("# No head", None),
        (None, None),
    ],
)
def test_the_licence_is_what_the_card_beside_the_files_states(folder, tmp_path, card, expected):
    if card is not None:
        (folder / "README.md").write_text(card)
    assert base_license(f"path:{folder}", None, tmp_path) == expected


def test_a_gguf_file_states_its_own(tmp_path, monkeypatch):
    path = tmp_path / "model.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_license("mit")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    monkeypatch.setattr("atlas.models.license.locate_model", lambda *_: {"model.gguf": path})
    assert base_license("package:any", None, tmp_path) == "mit"


def test_a_model_that_is_not_here_has_no_known_licence(tmp_path):
    assert base_license("path:/nowhere", None, tmp_path) is None
