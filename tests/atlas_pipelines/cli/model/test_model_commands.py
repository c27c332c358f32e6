import pytest
from typer.testing import CliRunner, Result

from atlas.content.format.cid import cid_of_bytes
from atlas_pipelines.cli.main import app

ANY = cid_of_bytes(b"any")


@pytest.fixture
def atlas(tmp_path, monkeypatch):
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path))
    monkeypatch.delenv("ATLAS_NETWORK", raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["model", *arguments])

    return run


HINT = f"Hint: write it as `atlas model export {ANY} out --merged`.\n"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ([ANY, "out"], ""),
        ([ANY, "out", "--merged"], ""),
        (["--merged", ANY, "out"], ""),
        ([ANY, "--merged", "--json", "out"], ""),
        ([ANY, "--merged", "out"], HINT),
        ([ANY, "--merged", "out", "--json"], HINT),
        (["--merged", "out", ANY], HINT),
        ([ANY, "--merged=out"], HINT),
        (["--merged=out", ANY], HINT),
    ],
)
def test_the_forms_of_earlier_versions_are_understood(atlas, arguments, hint):
    result = atlas("export", *arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"{hint}Error: {ANY} is not in ")


@pytest.mark.parametrize("arguments", [[ANY, "one", "--merged", "two"], [ANY, "one", "--merged=two"]])
def test_two_folders_are_refused(atlas, arguments):
    result = atlas("export", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "unexpected extra argument(s) (two)" in result.stderr
    assert "Hint" not in result.stderr


def test_an_export_needs_a_folder(atlas):
    assert "FOLDER" in atlas("export", ANY).stderr


def test_an_upload_without_a_token_ends_before_anything_is_read(atlas):
    result = atlas("push", ANY, "lab/model")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "There is no Hugging Face token here; set HF_TOKEN, or log in with `hf auth login`." in result.stderr
    assert "give ORG/NAME" in atlas("push", ANY, "model").stderr
