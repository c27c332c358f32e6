"""Uploads to a local server that speaks the Hub's API."""

import socket

import pytest

from resources.errors import PushError
from resources.models.push import push_folder
from tests.support.models.fake_hub import TOKEN, fake_hub


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)  # the server speaks Git LFS
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with fake_hub() as hub:
        yield hub


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Model\n")
    (folder / "adapter_model.safetensors").write_bytes(b"large" * 1000)
    return folder


def test_every_file_is_uploaded_to_a_new_private_repository(hub, folder):
    url = push_folder(folder, "lab/model", private=True, endpoint=hub.url)
    assert url == f"{hub.url}/lab/model/commit/1"
    assert hub.repositories == {"lab/model": True}
    assert hub.files["lab/model"] == {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "README.md").write_text("# Again\n")
    push_folder(folder, "lab/model", private=False, endpoint=hub.url)
    assert hub.files["lab/model"]["README.md"] == b"# Again\n"
    assert hub.repositories == {"lab/model": True}


def test_a_public_repository_is_made_where_that_is_asked_for(hub, folder):
    push_folder(folder, "lab/open", private=False, endpoint=hub.url)
    assert hub.repositories == {"lab/open": False}


@pytest.mark.parametrize(
    ("repository", "told"),
    [
        ("nobody/model", "has no nobody/model, nor an organisation nobody to create it in"),
        ("closed/model", "may not write to closed/model"),
        ("model", "give ORG/NAME"),
        ("lab/a b", "is not a repository of the hub"),
    ],
)
def test_what_the_hub_refuses_is_said_in_one_sentence(hub, folder, repository, told):
    with pytest.raises(PushError, match=told) as caught:
        push_folder(folder, repository, private=True, endpoint=hub.url)
    assert "\n" not in str(caught.value)
    assert hub.files == {}


def test_a_token_that_is_missing_or_wrong_is_said(hub, folder, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(PushError, match="does not accept the token"):
        push_folder(folder, "lab/model", private=True, endpoint=hub.url)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(PushError, match="There is no Hugging Face token here; set HF_TOKEN"):
        push_folder(folder, "lab/model", private=True, endpoint=hub.url)


def test_a_hub_that_does_not_answer_is_named(folder, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(PushError, match=f"The upload to {url} failed"):
            push_folder(folder, "lab/model", private=True, endpoint=url)
