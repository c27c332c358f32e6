"""Commands that only read leave an empty home empty, whatever they answer."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from atlas.content.format.cid import cid_of_bytes
from atlas.terminal.deferred import Group
from atlas_pipelines.cli.commands import COMMANDS as ATLAS
from atlas_pipelines.cli.main import app as atlas
from node_agent.cli.main import COMMANDS as ATLAS_NODE
from node_agent.cli.main import app as atlas_node

ANY = cid_of_bytes(b"any")
READING = [
    "chain balance",
    "chain config",
    "chain rewards",
    "chain status",
    f"content get {ANY}",
    "content gc --dry-run",
    "content ls",
    "content replicas",
    "content verify",
    "doctor",
    "job ls",
    "job round NAME 1",
    "job show NAME",
    "keys ls",
    "keys released NAME",
    f"model export {ANY} FOLDER",
    "model ls",
    "nodes",
    "plan SPEC",
    "report NAME",
    f"verify {ANY}",
]
WRITING = [
    *("chain deploy", "chain faucet", "chain grant", "chain owner", "chain pause", "chain revoke", "chain unpause"),
    *("chain withdraw", "content add", "content audit", "content pin", "content unpin"),
    *("job archive", "job cancel", "job close", "job rollback", "job schedule", "job top-up"),
    *("keys restore", "keys revoke", "keys rotate", "model deprecate", "model promote", "model push", "run", "up"),
]
NODE_READING = ["config", "data ls", "rewards", "status"]
NODE_WRITING = [
    *("claim", "config init", "data check", "deregister", "register", "stake add", "stake claim", "stake withdraw"),
    *("start", "unjail", "withdraw"),
]


def names(entries, prefix="") -> set[str]:
    found = set()
    for name, entry in entries.items():
        found |= names(entry.commands, f"{prefix}{name} ") if isinstance(entry, Group) else {prefix + name}
    return found


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in sorted(folder.rglob("*"))}


def test_every_command_is_said_to_read_or_to_write():
    said = {command for one in READING for command in names(ATLAS) if f"{one} ".startswith(f"{command} ")}
    assert said | set(WRITING) == names(ATLAS)
    assert not said & set(WRITING)
    assert set(NODE_READING) | set(NODE_WRITING) == names(ATLAS_NODE) | {"config init"}


@pytest.mark.parametrize("command", READING)
def test_atlas(command, tmp_path, monkeypatch):
    monkeypatch.delenv("ATLAS_NETWORK", raising=False)
    monkeypatch.setenv("HF_TOKEN", "none")
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setattr("atlas_pipelines.cli.doctor.check_models", list)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(atlas, command.split())
    assert done.exit_code in (0, 1), done.output
    assert "Unexpected error" not in done.output
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("words", ["rewards", "stake claim", "withdraw"])
def test_a_hint_names_the_folder_that_was_given_unless_the_environment_does(words, tmp_path, monkeypatch):
    home = tmp_path / "a node"
    home.mkdir()
    network = {"chain_id": "c", "url": "grpc+http://127.0.0.1:1", "denom": "u", "contract": "atlas1c"}
    settings = {"network": network, "bus": "nats://127.0.0.1:1", "content": str(tmp_path / "content")}
    (home / "config.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.delenv("ATLAS_NODE_HOME", raising=False)
    asked = CliRunner().invoke(atlas_node, [*words.split(), "--home", str(home)])
    assert f"`atlas-node register --home '{home}'`" in " ".join(asked.stderr.split())
    monkeypatch.setenv("ATLAS_NODE_HOME", str(home))
    assert "`atlas-node register`" in CliRunner().invoke(atlas_node, words.split()).stderr


@pytest.mark.parametrize("command", NODE_READING)
def test_atlas_node(command, tmp_path):
    network = {"chain_id": "c", "url": "grpc+http://127.0.0.1:1", "denom": "u", "contract": "atlas1c"}
    settings = {"network": network, "bus": "nats://127.0.0.1:1", "content": str(tmp_path / "content")}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    before = tree(tmp_path)
    done = CliRunner().invoke(atlas_node, [*command.split(), "--home", str(tmp_path)])
    assert done.exit_code in (0, 1), done.output
    assert "Unexpected error" not in done.output
    assert tree(tmp_path) == before
