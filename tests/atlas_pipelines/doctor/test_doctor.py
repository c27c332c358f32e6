"""`atlas doctor` on whole, empty and broken homes; it changes nothing."""

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from atlas.content.places.health import Copies, Health
from atlas.disk.sqlite_check import find_damage
from atlas.home import AtlasHome
from atlas_pipelines.cli.doctor import examine
from atlas_pipelines.doctor import machine
from atlas_pipelines.doctor.coherence import Sighting, check_jobs, compare
from atlas_pipelines.doctor.services import check_bus, check_clock, check_supervisor
from atlas_pipelines.doctor.state_files import check_databases, databases
from chain_bridge.client.keys import load_or_create_key
from chain_bridge.client.sender import Signed
from chain_bridge.client.signed import BlockRef
from chain_bridge.embedded.chain import Chain, Settings
from chain_bridge.follower.read_model import ReadModel
from chain_bridge.outbox.outbox import Outbox
from node_agent.home.journal import Journal
from resources.jobs.registry import JobRegistry, JobRow
from resources.local.contract import record_embedded_contract
from resources.local.network import running_network, stop_local_network
from resources.local.network_file import last_network
from tests.support.paths import REPOSITORY


@pytest.fixture(scope="module")
def made_home(tmp_path_factory) -> Path:
    """A home with every kind of file, whose processes have ended; make a copy to change it."""
    home = AtlasHome(tmp_path_factory.mktemp("home") / "atlas")
    operator = load_or_create_key(home.operator_key, "atlas")
    chain = Chain(home.chain, Settings("atlas-local"))
    chain.fund(operator.address, 10)
    chain.close()
    record_embedded_contract(home, "atlas1contract")
    JobRegistry(home.jobs_database).record_own_work("name", "cid")
    Outbox(home.outbox("atlas-local", operator.address))
    with ReadModel(home.root / "follower" / "atlas-local.atlas1contract.db"):
        pass
    for number in (1, 2):
        folder = home.nodes / f"node-{number}"
        node = load_or_create_key(folder / "node.key", "atlas")
        Journal(folder / "journal.db").forget_before(0)
        Outbox(folder / "outbox" / f"atlas-local-{node.address}.db")
    for kind, name in ((Health, "health"), (Copies, "copies")):
        kind(home.content / "places" / f"{name}.sqlite")._file._database.close()
    history = home.dagster / "history"
    history.mkdir(parents=True)
    with closing(sqlite3.connect(history / "runs.db")) as database:
        database.execute("CREATE TABLE runs (id INTEGER)")
    return home.root


@pytest.fixture
def home(made_home, tmp_path) -> AtlasHome:
    shutil.copytree(made_home, tmp_path / "atlas")
    return AtlasHome(tmp_path / "atlas")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Packages and models have tests of their own below, and take seconds."""
    monkeypatch.delenv("ATLAS_NETWORK", raising=False)
    monkeypatch.setattr("atlas_pipelines.cli.doctor.check_packages", list)
    monkeypatch.setattr("atlas_pipelines.cli.doctor.check_models", list)


def failures(home: AtlasHome) -> list[str]:
    return [finding.text for finding in examine(home, home.dagster) if finding.state == "failed"]


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }


FILES = [
    "coordinator.db",
    "chain/chain.db",
    "outbox/*.db",
    "follower/*.db",
    "nodes/node-1/journal.db",
    "nodes/node-2/outbox/*.db",
    "content/places/health.sqlite",
    "content/places/copies.sqlite",
    "dagster/history/runs.db",
]


def test_a_whole_home_is_healthy_every_file_is_looked_at_and_nothing_is_changed(home):
    before = snapshot(home.root)
    assert failures(home) == []
    assert snapshot(home.root) == before
    listed = {file.path for file in databases(home, home.dagster)}
    assert {path for name in FILES for path in home.root.glob(name)} <= listed
    assert len(listed) == len(FILES) + 2


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("bytes_left", [0, 50, 4096, -1, "noise", "noise inside"])
def test_a_damaged_file_is_named_with_what_to_do(home, name, bytes_left):
    [path] = home.root.glob(name)
    data = path.read_bytes()
    if bytes_left == "noise":
        path.write_bytes(b"noise" * 1000)
    elif bytes_left == "noise inside":
        path.write_bytes(data[:4096] + b"\x8f noise" * (len(data[4096:]) // 7 + 1))
    else:
        path.write_bytes(data[:bytes_left])
    if data[:4096] == data and bytes_left == 4096:
        pytest.skip("a file of one page")
    before = snapshot(home.root)
    [told] = failures(home)
    assert str(path) in told
    assert "is damaged: " in told
    assert snapshot(home.root) == before


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_place_of_a_file_is_named(home, name):
    [path] = home.root.glob(name)
    path.unlink()
    path.mkdir()
    [told] = failures(home)
    assert f"{path} " in told


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("contracts.json", "{", "contracts.json is damaged"),
        ("chain/contract.json", "[]", "contract.json .* is damaged"),
        ("networks.yaml", "- 1", "networks.yaml must map"),
        ("keys/operator.key", "word", "operator.key does not hold the 24 words"),
        ("nodes/node-1/config.yaml", "bus: 3", "config.yaml are not valid"),
    ],
)
def test_damaged_settings_and_keys_are_named(home, name, text, told):
    (home.root / name).write_text(text)
    [found] = failures(home)
    assert re.search(told, found), found


def test_a_key_that_others_may_read_is_named(home):
    home.operator_key.chmod(0o644)
    [found] = failures(home)
    assert f"chmod 600 {home.operator_key}" in found


WRITER = """
import os, signal, sys
from pathlib import Path
from resources.jobs.registry import JobRegistry
registry = JobRegistry(Path(sys.argv[1]))
with registry._tables.writing() as database:
    database.execute("INSERT INTO own_work VALUES ('a', 'b')")
kept = registry._tables.file.connect()
kept.execute("INSERT INTO own_work VALUES ('c', 'd')")
print("written", flush=True)
sys.stdin.read()
"""


def test_a_log_that_a_killed_process_left_is_read_and_left_as_it_is_also_while_one_writes(home):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", WRITER, str(home.jobs_database)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"written\n"
        assert failures(home) == [], "while it is open"
        writer.send_signal(signal.SIGKILL)
    assert (home.root / "coordinator.db-wal").stat().st_size > 0
    before = snapshot(home.root)
    assert failures(home) == [], "after the kill"
    assert snapshot(home.root) == before
    assert JobRegistry(home.jobs_database).own_work("c") == "d"


def test_a_log_that_a_killed_process_left_and_that_was_removed_is_missed(home):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", WRITER, str(home.jobs_database)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"written\n"
        writer.send_signal(signal.SIGKILL)
    files = databases(home, home.dagster)
    assert {one.state for one in check_databases(files)} == {"ok"}
    (home.root / "coordinator.db-wal").unlink()
    (warning,) = (one for one in check_databases(files) if one.state == "warning")
    assert "coordinator.db-shm beside it, but no coordinator.db-wal" in warning.text


def test_a_chain_without_its_newest_blocks_is_told_by_the_outbox_that_knows_them(home):
    operator = load_or_create_key(home.operator_key, "atlas")
    outbox = Outbox(home.outbox("atlas-local", operator.address))
    outbox.sign([], Signed(b"", "AB", 1, 20, BlockRef(7, "ab" * 32)))
    [found] = failures(home)
    assert "chain.db ends at block 0" in found
    assert "has recorded block 7" in found
    assert "chain.db-wal" in found


def test_another_chain_at_the_same_height_is_told_and_the_same_one_is_not(tmp_path):
    seen = Sighting(tmp_path / "outbox.db", 3, "ab")
    assert compare(tmp_path / "chain.db", 5, seen, "ab") is None
    assert compare(tmp_path / "chain.db", 5, seen, None) is None
    assert "block 3 differs" in compare(tmp_path / "chain.db", 5, seen, "cd").text


def test_jobs_that_chain_and_coordinator_do_not_share_are_told(home):
    registry = JobRegistry(home.jobs_database)
    for number in (1, 2):
        registry.save_job(JobRow(f"job-{number}", "s", "m", "d", "g", "atlas1contract", number))
    registry.save_job(JobRow("elsewhere", "s", "m", "d", "g", "atlas1other", 9))
    assert check_jobs(home, "atlas1contract", {1, 2}) == []
    [lost] = check_jobs(home, "atlas1contract", {1})
    assert (lost.state, "job(s) 2 that the contract" in lost.text) == ("failed", True)
    [unknown] = check_jobs(home, "atlas1contract", {1, 2, 3})
    assert (unknown.state, "coordinator.db-wal" in unknown.text) == ("warning", True)


def test_an_empty_home_is_healthy_and_stays_empty(tmp_path):
    home = AtlasHome(tmp_path / "nothing")
    assert failures(home) == []
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def file(tmp_path) -> Path:
    (tmp_path / "file").write_text("a file")
    return tmp_path / "file"


def test_a_home_where_nothing_can_be_made_is_told_with_the_reason_and_no_full_disk(home):
    findings = [one for one in examine(AtlasHome(Path("/proc/atlas")), home.dagster) if one.state == "failed"]
    assert [one.check for one in findings] == ["folder"]
    for part in ("/proc/atlas cannot be created", "/proc ", "no room for files", "Set ATLAS_HOME"):
        assert part in findings[0].text


@pytest.mark.parametrize("below", ["", "atlas", "a/b"])
def test_a_home_that_is_or_lies_under_a_file_is_told_with_the_file(file, tmp_path, below):
    home = AtlasHome(file / below)
    [found] = failures(AtlasHome(file / below))
    for part in (f"{home.root} cannot be created", f"{file} is a file", "ATLAS_HOME"):
        assert part in found


def test_a_home_that_is_a_link_to_nothing_is_told(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    [found] = failures(AtlasHome(tmp_path / "link"))
    assert f"{tmp_path / 'link'} is a link to nothing" in found


def test_a_folder_for_dagster_that_cannot_be_made_is_told_with_its_own_variable(home, file):
    findings = [one.text for one in examine(home, file / "dagster") if one.state == "failed"]
    assert len(findings) == 1
    assert f"{file / 'dagster'} cannot be created" in findings[0]
    assert "DAGSTER_HOME" in findings[0]


def test_a_file_system_that_does_not_tell_its_size_is_not_called_full(home, monkeypatch):
    real = os.statvfs(home.root)
    unknown = os.statvfs_result((*real[:2], 0, 0, 0, 0, 0, 0, *real[8:]))
    monkeypatch.setattr(machine.os, "statvfs", lambda path: unknown)
    told = [one for one in machine.check_folders(home, home.dagster) if one.check == "disk"]
    assert {one.state for one in told} == {"warning"}
    assert f"The file system of {home.dagster} does not report its free space" in told[0].text


def test_a_read_only_home_is_named(home):
    if subprocess.run(["mount", "--bind", home.root, home.root], capture_output=True, check=False).returncode:
        pytest.skip("mounting takes more rights than this user has")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", home.root], check=True)
        found = failures(home)
    finally:
        subprocess.run(["umount", "-l", home.root], check=True)
    assert any(f"{home.root} is on a file system that is mounted read-only" in text for text in found)


@pytest.fixture
def network_of():
    """Writes the record of a local network into a home; the process that it names runs for the block."""

    @contextmanager
    def record(folder, **changes):
        with subprocess.Popen(["sleep", "600"]) as process:
            network = {
                "network": {"chain_id": "c", "url": "grpc+http://127.0.0.1:1", "denom": "u", "prefix": "atlas"},
                "bus": "nats://127.0.0.1:1",
                "content": "/content",
                "pid": process.pid,
                "started": psutil.Process(process.pid).create_time(),
                "home": str(folder.root),
                "host": socket.gethostname(),
                "not_started": {"node-2": "its journal is damaged."},
            }
            folder.network_file.write_text(json.dumps({**network, **changes}))
            try:
                yield process
            finally:
                process.kill()

    return record


def test_a_supervisor_that_died_is_told_with_the_remedy(home, network_of):
    with network_of(home) as process:
        findings, found = check_supervisor(home)
        assert found.pid == process.pid
        assert [(one.state, one.check) for one in findings] == [("ok", "supervisor"), ("warning", "nodes")]
    [finding], found = check_supervisor(home)
    assert found is None
    assert finding.state == "failed"
    assert f"process {process.pid}" in finding.text
    assert "`atlas up`" in finding.text
    home.network_file.write_text("{")
    [finding], found = check_supervisor(home)
    assert finding.state == "warning"


@pytest.mark.parametrize("running", [True, False])
def test_the_record_of_another_folders_network_is_no_network_of_a_copied_home(home, tmp_path, network_of, running):
    with network_of(home) as process:
        shutil.copytree(home.root, tmp_path / "copy")
        copy = AtlasHome(tmp_path / "copy")
        if not running:
            process.kill()
            process.wait()
        [finding], found = check_supervisor(copy)
        assert found is None
        assert finding.state == "ok"
        for part in ("No local network runs", f"copy of {home.root}", f"process {process.pid}"):
            assert part in finding.text
        assert running_network(copy) is None
        assert last_network(copy.network_file) is None
        stop_local_network(copy)
        assert (process.poll() is None) is running
        assert (running_network(home) is not None) is running


def test_the_record_of_another_machines_network_is_told_with_its_name(home, network_of):
    with network_of(home, host="elsewhere"):
        assert running_network(home) is not None, "the machine was given another name"
    [finding], found = check_supervisor(home)
    assert found is None
    assert finding.state == "warning"
    for part in ("the machine elsewhere", f"{home.network_file}"):
        assert part in finding.text


def test_a_record_that_names_neither_folder_nor_machine_is_of_this_home(home, network_of):
    with network_of(home, host=None, home=None):
        assert running_network(home) is not None


def test_a_clock_that_is_75_seconds_off_is_told_with_both_clocks_and_the_difference():
    late = check_clock(1_000_000.0, 1_000_075.0, "block 7 of the chain c")
    assert late.state == "failed"
    for part in ("1970-01-12 13:46:40 UTC", "block 7 of the chain c 1970-01-12 13:47:55 UTC", "75 s apart"):
        assert part in late.text
    assert check_clock(1_000_075.0, 1_000_000.0, "block 7").state == "warning"
    assert check_clock(1_000_059.0, 1_000_000.0, "block 7").state == "ok"


def test_a_message_server_that_does_not_answer_is_named():
    assert "127.0.0.1:1 " in check_bus("nats://127.0.0.1:1").text


def test_the_command_prints_one_line_a_check_and_exits_by_what_it_found(home):
    home.jobs_database.write_bytes(b"noise" * 1000)
    environment = {**os.environ, "ATLAS_HOME": str(home.root), "DAGSTER_HOME": str(home.dagster)}
    script = (
        "import sys; from atlas_pipelines.cli.main import app\n"
        "try: app(['doctor', '--json'])\n"
        "except SystemExit as end:\n"
        "    assert not {'torch', 'transformers', 'peft'} & set(sys.modules)\n"
        "    raise"
    )
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 1, ran.stderr
    found = json.loads(ran.stdout)
    assert found["healthy"] is False
    [failed] = [check for check in found["checks"] if check["state"] == "failed"]
    assert failed["check"] == "database"
    assert str(home.jobs_database) in failed["text"]


def test_installed_packages_are_what_the_package_asks_for(monkeypatch):
    assert all(finding.state != "failed" for finding in machine.check_packages())
    monkeypatch.setattr(machine, "version", lambda name: "0.0.0" if name == "multiaddr" else "1.0")
    monkeypatch.setattr(machine, "requires", lambda name: ["multiaddr>=5", "pyyaml"])
    failed = [finding.text for finding in machine.check_packages() if finding.state == "failed"]
    assert failed == ["multiaddr has version 0.0.0, expected >=5. Run: pip install 'atlas-pipelines[node,coordinator]'"]


def test_a_version_that_the_lock_does_not_have_is_a_warning(monkeypatch):
    version = machine.version
    monkeypatch.setattr(machine, "version", lambda name: "0.1" if name == "rich" else version(name))
    monkeypatch.setattr(machine, "requires", lambda name: [])
    (finding,) = machine.check_packages()
    assert finding.state == "warning"
    assert "rich 0.1 (tested with " in finding.text
    assert "requirements.lock" in finding.text


def test_a_changed_model_file_is_named(monkeypatch, tmp_path):
    assert {finding.check for finding in machine.check_models()} == {"model"}
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"other")

    class Entry:
        name = "model.safetensors"
        hash = type("Hash", (), {"mode": "sha256", "value": "x"})

        def locate(self):
            return weights

    monkeypatch.setattr(machine, "distribution", lambda name: type("D", (), {"files": [Entry()]}))
    assert "model.safetensors of the base model minilm was changed" in machine.check_models()[0].text


def test_a_sound_file_has_no_damage(home):
    assert [find_damage(file) for file in databases(home, home.dagster)] == [None] * len(databases(home, home.dagster))
