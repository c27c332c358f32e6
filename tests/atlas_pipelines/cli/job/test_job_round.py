"""`atlas job round` from registry and content alone."""

import json

import pytest
from typer.testing import CliRunner

from atlas.home import AtlasHome
from atlas_pipelines.cli.main import app
from tests.support.jobs.small_round import small_round


@pytest.fixture
def atlas(tmp_path, monkeypatch):
    """Run `atlas job round …` in a home of its own."""
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path / "atlas"))
    monkeypatch.delenv("ATLAS_NETWORK", raising=False)
    return lambda *arguments: CliRunner().invoke(app, ["job", "round", *arguments])


@pytest.fixture
def manifest(tmp_path):
    return small_round(AtlasHome(tmp_path / "atlas"))


def test_a_round_is_shown_with_what_counted_and_what_was_refused(atlas, manifest):
    shown = atlas("tiny", "1")
    assert shown.exit_code == 0, shown.output
    assert "job tiny, round 1: fedavg, none" in shown.stdout
    assert "s002, attempt 2, node 9: refused by norm: [red]too long[/red]" in shown.stdout
    assert f"manifest {manifest.cid}" in shown.stdout
    assert "naive residual" in shown.stdout


def test_the_same_as_json(atlas, manifest):
    found = json.loads(atlas("tiny", "1", "--json").stdout)
    assert found["manifest"] == manifest.cid
    assert [(one["shard"], one["node"], one["weight"]) for one in found["accepted"]] == [
        ("s000", 7, 10),
        ("s001", 8, 20),
    ]
    assert [one["coefficient"] for one in found["accepted"]] == [0.333333, 0.666667]
    assert [(one["shard"], one["node"], one["gate"]) for one in found["refused"]] == [("s002", 9, "norm")]
    assert found["diagnostics"]["manifest"] == manifest.cid
    assert found["diagnostics_cid"].startswith("b")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["nope", "1"], "'nope'"), (["tiny", "2"], "Round 2 of job 'tiny' has no evaluated checkpoint yet")],
)
def test_what_is_not_there_is_told_in_words(atlas, manifest, arguments, told):
    result = atlas(*arguments)
    assert result.exit_code == 1
    assert told in result.stderr.replace("\n", " ")
