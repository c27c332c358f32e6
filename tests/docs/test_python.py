"""The blocks of docs/python.md run as they are written, and use every public name of `atlas`."""

import ast
import re
from pathlib import Path

import pytest

import atlas

PAGE = (Path(__file__).parents[2] / "docs/python.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def run_the_page(monkeypatch, folder, job):
    monkeypatch.chdir(folder)
    (folder / "job.yaml").write_text(job)
    names = {}
    for block in blocks("python"):
        exec(block, names)
    return names


def is_right(names, folder):
    verified = atlas.verify_checkpoint(names["checkpoint_cid"], names["store"])
    assert [one.round for one in verified] == [1, 0]
    assert verified[0].updates == len(names["dataset"].shards) == 4
    assert names["evaluation"].metrics.keys() == {names["base"], names["checkpoint_cid"]}
    assert (folder / "adapter/adapter_model.safetensors").is_file()
    assert (folder / "merged/model.safetensors").is_file()


def test_the_page_runs(monkeypatch, tmp_path, tiny_model, tiny_csv):
    (job,) = blocks("yaml")
    tiny = job.replace("package:minilm", f"path:{tiny_model}").replace("package:vader-sentiment", str(tiny_csv))
    assert "package:" not in tiny
    is_right(run_the_page(monkeypatch, tmp_path, tiny), tmp_path)


@pytest.mark.slow
def test_the_page_runs_with_the_model_that_it_names(monkeypatch, tmp_path):
    (job,) = blocks("yaml")
    is_right(run_the_page(monkeypatch, tmp_path, job), tmp_path)


def test_the_page_uses_every_public_name():
    tree = ast.parse("".join(blocks("python")))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "atlas"
    }
    assert used == set(atlas.__all__)
