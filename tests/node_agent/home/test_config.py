"""Settings: defaults filled in, mistakes named, the commented file reads back."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from node_agent.cli.main import app
from node_agent.errors import ConfigError
from node_agent.home.config import NodeHome, load_config

NETWORK = {"chain_id": "test", "url": "grpc+http://127.0.0.1:1", "contract": "atlas1contract"}
LEAST: dict[str, Any] = {"network": NETWORK, "bus": "nats://127.0.0.1:4222", "content": "/content"}


@pytest.fixture
def home(tmp_path: Path) -> NodeHome:
    home = NodeHome(tmp_path / "node")
    home.root.mkdir(mode=0o700)
    return home


def write(home: NodeHome, value: Any) -> None:
    home.config.write_text(yaml.safe_dump(value))


def test_three_settings_are_enough(home: NodeHome) -> None:
    write(home, LEAST)
    config = load_config(home)
    assert (config.threads, config.heartbeat_seconds, config.device, config.auto_withdraw) == (1, 30, "auto", True)
    assert (config.slots_with(0), config.capacity_with(0)) == (1, 8)
    assert (config.slots_with(4), config.capacity_with(4)) == (4, 32)
    assert config.contract == "atlas1contract"


def test_what_is_set_wins_over_what_is_found(home: NodeHome) -> None:
    write(home, {**LEAST, "slots": 2, "capacity": 5})
    config = load_config(home)
    assert (config.slots_with(4), config.capacity_with(4)) == (2, 5)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({**LEAST, "slot": 2}, "slot: Extra inputs"),
        ({**LEAST, "threads": 0}, r"threads: .* \(found 0\)"),
        ({**LEAST, "device": "tpu"}, "device:"),
        ({**LEAST, "bus": "http://127.0.0.1"}, "bus:"),
        ({"network": NETWORK}, "bus: Field required"),
        ({**LEAST, "network": {**NETWORK, "contract": None}}, "set network.contract"),
        (["a list"], "not valid"),
        (None, "not valid"),
    ],
)
def test_a_bad_setting_is_named(home: NodeHome, value: Any, message: str) -> None:
    write(home, value)
    with pytest.raises(ConfigError, match=message):
        load_config(home)


def test_missing_and_unreadable_settings_say_what_to_do(home: NodeHome) -> None:
    with pytest.raises(ConfigError, match="atlas-node config init --from NETWORK_FILE --home /"):
        load_config(home)
    home.config.write_text("a: [unclosed")
    with pytest.raises(ConfigError, match="Cannot read the settings"):
        load_config(home)


@pytest.mark.parametrize("content", ["/content", {"nodes": ["http://127.0.0.1:5001"], "replicas": 1}])
def test_config_init_writes_a_commented_file_that_reads_back(home: NodeHome, tmp_path: Path, content: Any) -> None:
    network_file = tmp_path / "network.json"
    network_file.write_text(json.dumps({**LEAST, "content": content, "pid": 1, "webserver": None}))
    arguments = ["config", "init", "--from", str(network_file), "--home", str(home.root)]
    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0, first.output
    assert "# CPU threads of each trainer" in home.config.read_text()
    config = load_config(home)
    assert config.bus == LEAST["bus"]
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 1
    assert "exists already" in again.output

    shown = CliRunner().invoke(app, ["config", "--home", str(home.root)])
    assert yaml.safe_load(shown.output) == config.model_dump(mode="json")
    as_json = CliRunner().invoke(app, ["config", "--home", str(home.root), "--json"])
    assert json.loads(as_json.output) == config.model_dump(mode="json")


def test_config_init_refuses_what_describes_no_network(home: NodeHome, tmp_path: Path) -> None:
    network_file = tmp_path / "network.json"
    network_file.write_text('{"bus": "nats://127.0.0.1:4222"}')
    result = CliRunner().invoke(app, ["config", "init", "--from", str(network_file), "--home", str(home.root)])
    assert result.exit_code == 1
    assert "network: Field required" in result.output
    assert not home.config.exists()


def test_commands_without_settings_end_with_a_sentence(home: NodeHome) -> None:
    for command in ("start", "status", "register", "config"):
        result = CliRunner().invoke(app, [command, "--home", str(home.root)])
        assert result.exit_code == 1, command
        assert "Error: There are no settings at" in result.output
        assert "Traceback" not in result.output


def test_status_without_a_chain_says_so(home: NodeHome) -> None:
    write(home, LEAST)
    result = CliRunner().invoke(app, ["status", "--home", str(home.root), "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert found["running"] is False
    assert found["tasks"] == []
    assert "No answer from the chain" in found["chain_error"]
    assert (found["address"], home.key.exists()) == (None, False)


def test_a_content_folder_that_is_not_there_is_an_error(home: NodeHome, tmp_path: Path) -> None:
    write(home, {**LEAST, "content": str(tmp_path / "not-mounted")})
    result = CliRunner().invoke(app, ["start", "--home", str(home.root)])
    assert result.exit_code == 1
    assert "not-mounted, which is not a folder here" in result.output
    assert not (tmp_path / "not-mounted").exists()


def test_an_unforeseen_error_is_one_sentence_and_a_log_in_the_nodes_folder(home, monkeypatch):
    for module in ("status", "config"):
        monkeypatch.setattr(f"node_agent.cli.{module}.load_config", lambda folder: {}["settings"])
    result = CliRunner().invoke(app, ["status", "--home", str(home.root)])
    assert result.exit_code == 1
    assert result.stderr == f"Error: Unexpected error: KeyError: 'settings'. The traceback is in {home.log}.\n"
    assert "Traceback" in home.log.read_text()
    verbose = CliRunner().invoke(app, ["--verbose", "config", "--home", str(home.root)])
    assert "Traceback" in verbose.stderr
