"""Assets of a job on a real chain, with nodes in a thread of their own whose behaviour a test writes down."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from assets.aggregated_checkpoint import aggregated_checkpoint
from assets.base_checkpoint import base_checkpoint
from assets.dataset import dataset, dataset_shard
from assets.evaluation import evaluation
from assets.fleet_run.progress import RoundProgress
from assets.job_report import job_report
from assets.recorded.records import INPUT_VERSION, newest_record
from assets.reward_settlement import reward_settlement
from assets.round_manifest import round_manifest
from assets.shard_adapter import shard_adapter
from atlas.disk.private_file import create_private_file
from atlas_pipelines.definitions import defs
from chain_bridge.client.keys import load_or_create_key
from chain_bridge.ledger import Ledger
from resources.content import ContentResource
from resources.coordinator import CoordinatorResource
from resources.dispatch.outcomes import TaskOutcome
from resources.fleet import FleetResource
from tests.support.jobs.coordinator import Place
from tests.support.jobs.scripted_nodes import Behaviour, ScriptedNode

ASSETS = [
    dataset,
    dataset_shard,
    base_checkpoint,
    shard_adapter,
    round_manifest,
    aggregated_checkpoint,
    evaluation,
    reward_settlement,
    job_report,
]


class Observed(RoundProgress):
    """What an observer of a round heard."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.outcomes: list[TaskOutcome] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def ended(self, outcome: TaskOutcome) -> None:
        self.outcomes.append(outcome)


@dataclass
class OpenedLedger:
    """The ledger resource, with a client that is open already."""

    client: Ledger


@dataclass
class Workshop:
    """Materializes assets of a place's jobs."""

    place: Place
    instance: dg.DagsterInstance
    resources: dict[str, Any]
    observed: Observed = field(default_factory=Observed)

    def run(
        self, asset: dg.AssetsDefinition, partition: str | dg.MultiPartitionKey, config: dict[str, Any] | None = None
    ) -> dg.ExecuteInProcessResult:
        """Materialize one asset as its button in the UI does."""
        return dg.materialize(
            ASSETS,
            selection=[asset],
            instance=self.instance,
            partition_key=partition,
            resources={**self.resources, "progress": self.observed},
            run_config={"ops": {asset.key.to_user_string(): {"config": config}}} if config else None,
            raise_on_error=False,
        )

    def make(self, asset: dg.AssetsDefinition, partition: str, config: dict[str, Any] | None = None) -> dict[str, Any]:
        """The metadata of the asset, which must have been made, with the data version as `version`."""
        name = asset.key.to_user_string()
        result = self.run(asset, partition, config)
        assert result.success, failure(result)
        event = next(one for one in result.asset_materializations_for_node(name) if one.asset_key == asset.key)
        facts = {key: value.value for key, value in event.metadata.items()}
        return facts | {"version": event.tags["dagster/data_version"]}

    def recorded(self, asset: str) -> list[str]:
        """The partitions of an asset's materializations, the newest last."""
        records = self.instance.fetch_materializations(dg.AssetKey(asset), limit=100, ascending=True).records
        return [str(record.partition_key) for record in records]

    def staleness(self, asset: str, partition: str) -> list[str]:
        """Why the UI would show a partition as outdated; empty if it would not."""
        graph = defs.resolve_asset_graph()
        resolver = CachingStaleStatusResolver(self.instance, graph, LoadingContextForTest(self.instance))
        causes = resolver.get_stale_causes(dg.AssetKey(asset), partition)
        return [f"{cause.reason}: {cause.dependency}" for cause in causes]

    def inputs(self, asset: str, partition: str) -> dict[str, str]:
        """The versions of the inputs that a partition was made from."""
        tags = newest_record(self.instance, asset, partition).asset_materialization.tags
        start = f"{INPUT_VERSION}/"
        return {name.removeprefix(start): version for name, version in tags.items() if name.startswith(start)}


def failure(result: dg.ExecuteInProcessResult) -> str:
    """The sentence that a failed step shows first."""
    (event,) = result.get_step_failure_events()
    data = event.step_failure_data.user_failure_data
    assert data is not None, event.message
    return data.description


@pytest.fixture
def workshop(place, servers) -> Iterator[Workshop]:
    """A workshop whose network and operator are the place's."""
    words = (servers.content.parent / "keys" / "operator.key").read_bytes()
    create_private_file(place.home.operator_key, words)
    path = place.home.root / "network.yaml"
    path.write_text(yaml.safe_dump(place.addresses.model_dump(mode="json")))
    coordinator = CoordinatorResource(atlas_home=str(place.home.root), network_file=str(path))
    resources = {
        "coordinator": coordinator,
        "fleet": FleetResource(coordinator=coordinator, poll_seconds=0.1),
        "content": ContentResource(coordinator=coordinator),
        "ledger": OpenedLedger(place.ledger),
    }
    with dg.DagsterInstance.ephemeral() as instance:
        yield Workshop(place, instance, resources)


@pytest.fixture
def nodes(place, tmp_path) -> Iterator[Callable[..., list[ScriptedNode]]]:
    """`nodes(completes, fails)` starts nodes with these behaviours, which work while assets are made."""
    with running_loop() as loop:
        started: list[ScriptedNode] = []

        def start(*behaviours: Behaviour) -> list[ScriptedNode]:
            for behaviour in behaviours:
                key = load_or_create_key(tmp_path / f"scripted-{len(started)}" / "node.key", "atlas")
                node = ScriptedNode(key, Ledger(place.addresses.network, key), place.store, behaviour)
                started.append(node)
                asyncio.run_coroutine_threadsafe(node.start(place.addresses.bus), loop).result()
            return started

        yield start
        for node in started:
            asyncio.run_coroutine_threadsafe(node.die(), loop).result()
            node.ledger.close()


@contextmanager
def running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="scripted-nodes", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
