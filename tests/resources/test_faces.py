"""Dagster's resources: lazy, one local network for a run, gone after it."""

import asyncio
import textwrap

import dagster as dg
import pytest

from atlas.home import AtlasHome
from resources.content import ContentResource
from resources.coordinator import CoordinatorResource
from resources.fleet import FleetResource
from resources.ledger import LedgerResource
from resources.local.network import running_network


def run_with(coordinator: CoordinatorResource, body) -> dg.ExecuteInProcessResult:
    @dg.op
    def step(
        coordinator: CoordinatorResource, fleet: FleetResource, ledger: LedgerResource, content: ContentResource
    ) -> None:
        body(fleet, ledger, content)

    @dg.job(executor_def=dg.in_process_executor)
    def job():
        step()

    resources = {
        "coordinator": coordinator,
        "fleet": FleetResource(coordinator=coordinator),
        "ledger": LedgerResource(coordinator=coordinator),
        "content": ContentResource(coordinator=coordinator),
    }
    return job.execute_in_process(resources=resources)


def test_nothing_starts_before_it_is_needed(tmp_path):
    seen = []
    coordinator = CoordinatorResource(atlas_home=str(tmp_path / "atlas"))
    run_with(coordinator, lambda fleet, ledger, content: seen.append(fleet.coordinator.home))
    assert seen == [AtlasHome(tmp_path / "atlas")]
    assert not (tmp_path / "atlas").exists()


def test_an_explicit_network_is_used_as_it_is(tmp_path, addresses):
    path = tmp_path / "network.yaml"
    path.write_text(
        textwrap.dedent(f"""
            network: {addresses.network.model_dump_json()}
            bus: {addresses.bus}
            content: {addresses.content}
        """)
    )
    seen = []

    def body(fleet, ledger, content):
        async def connect():
            async with fleet.dispatcher(ledger.client, content.store) as dispatcher:
                seen.append(dispatcher)

        asyncio.run(connect())
        seen.append(ledger.client.config().denom)
        seen.append(content.store.read(content.store.put(b"bytes")))

    coordinator = CoordinatorResource(atlas_home=str(tmp_path / "atlas"), network_file=str(path))
    run_with(coordinator, body)
    assert seen[1:] == ["uatl", b"bytes"]
    assert running_network(AtlasHome(tmp_path / "atlas")) is None


@pytest.mark.slow
def test_the_local_network_runs_for_as_long_as_the_run(tmp_path):
    home = AtlasHome(tmp_path / "atlas")
    seen = []

    def body(fleet, ledger, content):
        seen.append([node.id for node in ledger.client.nodes()])
        seen.append(running_network(home) is not None)
        seen.append(content.store.put(b"bytes") is not None)

    run_with(CoordinatorResource(atlas_home=str(home.root), agents=1), body)
    assert seen == [[1], True, True]
    assert running_network(home) is None
