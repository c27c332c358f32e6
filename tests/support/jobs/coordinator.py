"""Fixtures of a coordinator: a real chain and a real message server, one for all tests of a process; for each test a
contract of its own, and nodes whose behaviour it writes down."""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from atlas.content.local.store import LocalStore
from atlas.content.verified import VerifiedStore
from atlas.home import AtlasHome
from atlas.spec.job import JobSpec
from chain_bridge.client.keys import Key, load_or_create_key
from chain_bridge.ledger import Ledger
from chain_bridge.networks.deploy import CONTRACT_WASM, deploy_contract
from chain_bridge.outbox.outbox import Outbox
from node_agent.wire.bus import Bus
from resources.dispatch.dispatcher import Dispatcher, DispatchSettings
from resources.jobs.open_job import open_job
from resources.jobs.opened import OpenJob
from resources.jobs.registry import JobRegistry
from resources.local.parts import LocalParts
from resources.rounds.round import Round
from resources.settings import Addresses
from tests.support.jobs.scripted_nodes import HEARTBEAT_SECONDS, RANK, Behaviour, PaperAdapters, ScriptedNode, completes


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    """Chain and message server, without agents."""
    parts = LocalParts(AtlasHome(tmp_path_factory.mktemp("servers")), agents=0, threads=1)
    try:
        yield parts.start()
    finally:
        parts.stop()


@pytest.fixture(scope="session")
def operator(servers, tmp_path_factory):
    """The funded account."""
    return load_or_create_key(servers.content.parent / "keys" / "operator.key", "atlas")


@pytest.fixture
def addresses(servers, operator, tmp_path) -> Addresses:
    """The servers with a contract and a content folder of this test's own."""
    contract = deploy_contract(servers.network, operator, CONTRACT_WASM, HEARTBEAT_SECONDS, challenge_seconds=0)
    network = servers.network.model_copy(update={"contract": contract})
    return Addresses(network=network, bus=servers.bus, content=tmp_path / "content")


@dataclass
class Place:
    """A coordinator's home and what it works with."""

    addresses: Addresses
    operator: Key
    home: AtlasHome
    ledger: Ledger
    store: LocalStore
    registry: JobRegistry
    made: PaperAdapters

    def open(self, spec: Path | JobSpec) -> OpenJob:
        spec = spec if isinstance(spec, JobSpec) else JobSpec.load(spec)
        return open_job(spec, self.home, self.store, self.registry, self.ledger, make_adapter=self.made.make)

    def round(self, job: OpenJob, number: int = 1, ledger: Ledger | None = None) -> Round:
        """The round as a new run of the coordinator has it, which has read nothing yet."""
        store = VerifiedStore(self.store)
        return Round(job, number, self.home, store, self.registry, lambda: ledger or self.ledger)

    async def dispatcher(self, bus: Bus, **settings: float) -> Dispatcher:
        chosen = DispatchSettings(**{"poll_seconds": 0.1, "answer_seconds": 1.0, **settings})
        return Dispatcher(self.ledger, bus, self.store, self.registry, settings=chosen)


@pytest.fixture
def place(addresses, operator, tmp_path):
    home = AtlasHome(tmp_path / "atlas")
    outbox = Outbox(home.outbox(addresses.network.chain_id, operator.address))
    with Ledger(addresses.network, operator, outbox=outbox) as ledger:
        store = LocalStore(addresses.content)
        yield Place(addresses, operator, home, ledger, store, JobRegistry(home.jobs_database), PaperAdapters())


@pytest.fixture
def paper_spec(tiny_csv, tmp_path):
    """A spec over the tiny rows and a model that no test here loads: `paper_spec(rounds=1)` merges top-level fields."""
    folder = tmp_path / "paper-model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (folder / "model.safetensors").write_bytes(save({"weight": np.zeros(3, np.float32)}))

    def spec(**changes) -> JobSpec:
        return JobSpec.from_mapping(
            {
                "name": "paper",
                "model": {"source": f"path:{folder}", "task": "sequence-classification"},
                "dataset": {
                    "source": str(tiny_csv),
                    "labels": ["negative", "positive"],
                    "shard_by": {"column": "domain"},
                },
                "lora": {"rank": RANK, "target_modules": ["query"]},
                "training": {"learning_rate": 10.0},  # the numbers that scripted nodes send are drawn, not trained
                "rounds": 2,
                "payment": {"budget": 1_000_000, "reward_per_task": 100_000},
                **changes,
            }
        )

    return spec


@pytest.fixture
async def add_node(addresses, place, tmp_path):
    """Start a node with a behaviour: `await add_node(completes)`."""
    nodes, numbers = [], itertools.count(1)

    async def add(behaviour: Behaviour = completes, capacity: int = 8, **fields) -> ScriptedNode:
        key = load_or_create_key(tmp_path / f"scripted-{next(numbers)}" / "node.key", "atlas")
        node = ScriptedNode(key, Ledger(addresses.network, key), place.store, behaviour, **fields)
        await node.start(addresses.bus, capacity)
        nodes.append(node)
        return node

    yield add
    for node in nodes:
        await node.die()
        node.ledger.close()


@pytest.fixture
async def bus(addresses, operator):
    """The coordinator's connection."""
    bus = await Bus.connect(addresses.bus, operator)
    yield bus
    await bus.close()
