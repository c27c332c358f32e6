"""The node's own data: registered as a commitment, given to its own trainer alone, and refused once it has changed."""

import dataclasses
import json
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from atlas.content.format.cid import cid_of_bytes
from atlas.content.local.store import LocalStore
from atlas.data.local_data import LocalData
from atlas.documents.stored import get_document, put_document
from atlas.errors import AtlasError
from atlas.signing import KeySigner
from atlas.spec.job import JobSpec, TaskSpec
from node_agent.cli.main import app
from node_agent.data.local_data import commit_to_data, local_rows
from node_agent.data.salt import load_or_create_salt
from node_agent.errors import ConfigError, LocalDataError, NodeError
from node_agent.home.config import NodeConfig, NodeHome, load_config
from node_agent.node_context import NodeContext
from node_agent.presence.machine import NodeManifest
from tests.support.nodes.nats_server import NatsServer
from tests.support.nodes.small_network import SmallNetwork

CID = cid_of_bytes(b"any")
NETWORK = {"chain_id": "test", "url": "grpc+http://127.0.0.1:1", "contract": "atlas1contract"}
SECRET = "Otto Xylander"
ROWS = f"""text,label,ward
{SECRET} has the flu,sick,3
Bea is well,well,3
Cem is well,well,4
"""
LINES = [f'{{"label":"sick","text":"{SECRET} has the flu"}}', '{"label":"well","text":"Bea is well"}']


def job_spec(**dataset: Any) -> JobSpec:
    return JobSpec.from_mapping(
        {
            "name": "hospitals",
            "model": "minilm",
            "dataset": {
                "source": "node-local:notes",
                "labels": ["sick", "well"],
                "shard_by": {"nodes": 1},
                "holdout_source": "rows.csv",
                **dataset,
            },
            "payment": {"budget": 10, "reward_per_task": 1},
        }
    )


@dataclasses.dataclass
class Site:
    """A node's folder with data, and a task to train on them."""

    home: NodeHome
    rows: Path
    store: LocalStore
    signer: KeySigner
    folder: Path

    def settings(self, **changes: Any) -> dict[str, Any]:
        return {"notes": {"source": str(self.rows), "where": {"ward": 3}, **changes}}

    def write_config(self, datasets: dict[str, Any]) -> NodeConfig:
        config = {
            "network": NETWORK,
            "bus": "nats://127.0.0.1:1",
            "content": str(self.store.root),
            "datasets": datasets,
        }
        self.home.config.write_text(yaml.safe_dump(config))
        return load_config(self.home)

    def task(self, **dataset: Any) -> TaskSpec:
        """A task on what the node registers at this moment."""
        (registered,) = commit_to_data(self.home, self.write_config(self.settings()), self.signer.address)
        return TaskSpec(
            kind="train",
            contract="atlas1contract",
            job_id=1,
            job=put_document(self.store, job_spec(**dataset)),
            model=CID,
            round=1,
            slot=0,
            data=put_document(self.store, registered),
            form="node-local",
            rows=registered.rows,
            base=CID,
            attempt=1,
        )

    def write(self, task: TaskSpec, datasets: dict[str, Any] | None = None) -> Path:
        """What the agent does when the task begins."""
        config = self.write_config(self.settings() if datasets is None else datasets)
        unused: Any = None
        given = {"home": self.home, "config": config, "store": self.store, "signer": self.signer}
        others = {field.name: unused for field in dataclasses.fields(NodeContext) if field.name not in given}
        return local_rows(task, NodeContext(**given, **others), self.folder)

    def refusal(self, task: TaskSpec, datasets: dict[str, Any] | None = None) -> str:
        with pytest.raises(LocalDataError) as caught:
            self.write(task, datasets)
        assert list(self.folder.iterdir()) == []
        return str(caught.value)


@pytest.fixture
def site(tmp_path: Path, alice: KeySigner) -> Site:
    home, rows, folder = NodeHome(tmp_path / "node"), tmp_path / "rows.csv", tmp_path / "work"
    home.root.mkdir(mode=0o700)
    folder.mkdir()
    rows.write_text(ROWS)
    return Site(home, rows, LocalStore(tmp_path / "content"), alice, folder)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_task_gets_the_registered_rows_for_its_owner_s_eyes_only(site: Site) -> None:
    task = site.task()
    for _ in range(2):  # the trainer may be started again
        path = site.write(task)
        assert path.read_text().splitlines() == LINES
        assert mode(path) == 0o600
        assert list(site.folder.iterdir()) == [path]


def test_what_is_registered_tells_no_row(site: Site) -> None:
    task = site.task()
    registered = get_document(site.store, task.data, LocalData)
    assert (registered.name, registered.address, registered.rows) == ("notes", site.signer.address, 2)
    assert not any(SECRET.encode() in path.read_bytes() for path in site.store.root.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("Bea", "Ben"),
        lambda text: text.replace("Bea is well,well,3\n", ""),
        lambda text: text + "Dora is well,well,3\n",
        lambda text: text.replace("Bea is well,well", "Bea is well,sick"),
    ],
    ids=["edited", "removed", "added", "relabelled"],
)
def test_data_that_changed_since_they_were_registered_are_refused(site: Site, change: Callable[[str], str]) -> None:
    task = site.task()
    site.rows.write_text(change(ROWS))
    assert "Restart the agent" in site.refusal(task)
    site.rows.write_text(ROWS)
    assert site.write(task).exists()


def test_rows_of_other_sites_in_the_same_source_may_change(site: Site) -> None:
    task = site.task()
    site.rows.write_text(ROWS.replace("Cem", "Can"))
    assert site.write(task).read_text().splitlines() == LINES


def test_another_salt_makes_another_commitment(site: Site) -> None:
    task = site.task()
    site.home.salt.unlink()
    assert "differs from the registered one" in site.refusal(task)


def test_what_goes_to_the_coordinator_quotes_no_row_and_no_label(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    refusal = site.refusal(site.task(labels=["ill", "well"]))
    assert "'ill', 'well'" in refusal
    assert "sick" not in refusal
    assert "sick" in caplog.text
    task = site.task()
    site.rows.write_text(ROWS.replace("sick", ""))
    refusal = site.refusal(task)
    assert "can no longer be read" in refusal
    assert "line 2: the column 'label' must hold text" in caplog.text
    site.rows.unlink()
    assert "No such file" not in site.refusal(task)


def test_a_job_without_labels_takes_data_with_any(site: Site) -> None:
    spec = job_spec().model_dump(mode="json")
    spec["model"]["task"], spec["dataset"]["label_column"], spec["dataset"]["labels"] = "causal-lm", None, []
    task = site.task().model_copy(update={"job": put_document(site.store, JobSpec.model_validate(spec))})
    assert site.write(task).read_text().splitlines() == LINES


def test_only_the_node_that_registered_the_data_trains_on_them(site: Site, bob: KeySigner) -> None:
    task = site.task()
    thief = dataclasses.replace(site, signer=bob)
    assert f"is on the node of {site.signer.address}, not of {bob.address}" in thief.refusal(task)


def test_the_owner_decides_which_jobs_may_train(site: Site) -> None:
    task = site.task()
    assert "no longer offers the dataset 'notes'" in site.refusal(task, {})
    assert f"has not allowed the job {task.job}" in site.refusal(task, site.settings(jobs=[CID]))
    assert site.write(task, site.settings(jobs=[CID, task.job])).exists()
    (site.folder / "rows.jsonl").unlink()
    assert "its job is about 'node-local:scans'" in site.refusal(site.task(source="node-local:scans"))


def test_unreadable_data_are_named_to_the_owner(site: Site) -> None:
    def commit(**changes: Any) -> None:
        commit_to_data(site.home, site.write_config(site.settings(**changes)), site.signer.address)

    with pytest.raises(ConfigError, match=r"'notes' cannot be registered. .*rows.csv has no column 'body'"):
        commit(text_column="body")
    with pytest.raises(AtlasError, match="'notes' of this node has no rows"):
        commit(where={"ward": 5})
    with pytest.raises(ConfigError, match=r"datasets\.notes\.source"):
        commit(source="node-local:other")
    with pytest.raises(ConfigError, match=r"datasets\.Notes"):
        site.write_config({"Notes": {"source": "rows.csv"}})


def test_the_salt_is_drawn_once_and_kept_to_the_node(tmp_path: Path) -> None:
    path = tmp_path / "node" / "data.salt"
    with ThreadPoolExecutor(8) as threads:
        salts = set(threads.map(load_or_create_salt, [path] * 8))
    (salt,) = salts
    assert (len(salt), mode(path), mode(path.parent)) == (32, 0o600, 0o700)
    assert load_or_create_salt(tmp_path / "other" / "data.salt") != salt
    assert [entry.name for entry in path.parent.iterdir()] == ["data.salt"]
    path.chmod(0o640)
    with pytest.raises(NodeError, match=r"mode 640.*chmod 600"):
        load_or_create_salt(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(NodeError, match="has 5 bytes, expected 32"):
        load_or_create_salt(path)


def test_the_commands_list_the_data_and_show_what_others_learn(site: Site) -> None:
    site.write_config(site.settings(keep={"first": 0, "last": 9, "of": 10}))
    listed = CliRunner().invoke(app, ["data", "ls", "--home", str(site.home.root), "--json"])
    assert json.loads(listed.output)["datasets"]["notes"]["where"] == {"ward": 3}
    assert "notes" in CliRunner().invoke(app, ["data", "ls", "--home", str(site.home.root)]).output
    checked = CliRunner().invoke(app, ["data", "check", "notes", "--home", str(site.home.root), "--json"])
    found = json.loads(checked.output)
    registered = LocalData.model_validate({name: value for name, value in found.items() if name != "cid"})
    assert (registered.cid, registered.rows) == (found["cid"], 2)
    assert registered.root in CliRunner().invoke(app, ["data", "check", "notes", "--home", str(site.home.root)]).output
    unknown = CliRunner().invoke(app, ["data", "check", "scans", "--home", str(site.home.root)])
    assert unknown.exit_code == 1
    assert "no dataset 'scans'" in unknown.output
    assert "it has notes" in unknown.output


@pytest.fixture
def network(tmp_path: Path) -> Iterator[SmallNetwork]:
    server = NatsServer(tmp_path)
    server.start()
    network = SmallNetwork(tmp_path, server)
    network.start()
    yield network
    network.stop()
    server.stop()


@pytest.mark.slow
def test_the_agent_registers_its_data_anew_when_they_have_changed(network: SmallNetwork, tmp_path: Path) -> None:
    rows = tmp_path / "notes.csv"
    rows.write_text(ROWS)
    agent = network.agent(datasets={"notes": {"source": str(rows)}, "all": {"source": str(rows), "label_column": None}})

    def registered() -> list[LocalData]:
        node = network.ledger.node(agent.node_id)
        manifest = get_document(network.store, node.manifest, NodeManifest)
        return [get_document(network.store, cid, LocalData) for cid in manifest.datasets]

    agent.start()
    first = registered()
    assert [(one.name, one.rows, one.address) for one in first] == [
        ("all", 3, agent.address),
        ("notes", 3, agent.address),
    ]
    assert agent.stop() == 0
    agent.start()
    assert registered() == first
    assert agent.stop() == 0
    rows.write_text(ROWS + "Dora is well,well,3\n")
    agent.start()
    assert [one.rows for one in registered()] == [4, 4]
    assert mode(agent.home / "data.salt") == 0o600
    assert not any(SECRET.encode() in path.read_bytes() for path in network.store.root.rglob("*") if path.is_file())
    assert SECRET not in agent.output
