"""The dispatcher with real agents that really train: a tiny model, the embedded chain, the bus of the local network."""

import os
from contextlib import AsyncExitStack, aclosing

import psutil
import pytest

from atlas.content.local.store import LocalStore
from atlas.content.verified import VerifiedStore
from atlas.home import AtlasHome
from atlas.spec.job import JobSpec
from chain_bridge.client.keys import load_or_create_key
from node_agent.wire.bus import Bus
from resources.dispatch.dispatcher import Dispatcher
from resources.dispatch.outcomes import CompletedTask
from resources.jobs.open_job import open_job
from resources.jobs.registry import JobRegistry
from resources.local.network import ensure_local_network
from resources.operator_ledger import open_ledger
from resources.rounds.evaluating import evaluation_result
from resources.rounds.round import Round
from resources.rounds.tasks import (
    evaluation_task,
)

pytestmark = [pytest.mark.slow, pytest.mark.system]


def two_shards(tiny_spec, **training: int) -> JobSpec:
    """One shard for each of two agents."""
    rule = {"shard_by": {"rows": 100}}
    return JobSpec.load(tiny_spec(dataset=rule, training={"learning_rate": 0.001, **training}))


class Coordinator:
    """Everything that a coordinator has, over a local network; entering it again is what a restart does."""

    def __init__(self, home: AtlasHome, spec: JobSpec, restart_agents: bool = True) -> None:
        self.home, self.spec, self.restart_agents = home, spec, restart_agents
        self.stack = AsyncExitStack()

    async def __aenter__(self):
        network = ensure_local_network(self.home, restart_agents=self.restart_agents)
        self.network = self.stack.enter_context(network)
        key = load_or_create_key(self.home.operator_key, "atlas")
        self.ledger = self.stack.enter_context(open_ledger(self.home, self.network.network, key))
        self.store, self.registry = LocalStore(self.network.content), JobRegistry(self.home.jobs_database)
        self.job = open_job(self.spec, self.home, self.store, self.registry, self.ledger)
        store = VerifiedStore(self.store)
        self.round = Round(self.job, 1, self.home, store, self.registry, lambda: self.ledger)
        bus = await Bus.connect(self.network.bus, key)
        self.stack.push_async_callback(bus.close)
        self.dispatcher = Dispatcher(self.ledger, bus, self.store, self.registry)
        return self

    async def __aexit__(self, *error):
        await self.stack.aclose()

    def training(self, on_update=lambda update: None):
        tasks, gate = self.round.training_tasks(), self.round.gate()
        return aclosing(self.dispatcher.run(self.job, 1, tasks, on_update=on_update, check=gate))

    async def finish(self, outcomes):
        """Aggregate, evaluate and settle the first round."""
        checkpoint = self.round.aggregate(self.round.build_manifest(outcomes)).cid
        without = self.round.checkpoints_without(checkpoint)
        tasks = [evaluation_task(self.job, 1, self.job.untrained, checkpoint, without)]
        async with aclosing(self.dispatcher.run(self.job, 1, tasks)) as running:
            (evaluated,) = [outcome async for outcome in running]
        settled = self.round.settle(checkpoint)
        return evaluation_result(self.job, evaluated), settled


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ATLAS_HEARTBEAT_SECONDS", "600")  # so that a slow machine loses no agent
    return AtlasHome(tmp_path / "atlas")


async def test_a_round_is_trained_evaluated_and_paid(home, tiny_spec):
    async with Coordinator(home, JobSpec.load(tiny_spec(training={"steps": 40}))) as here:
        async with here.training() as running:
            outcomes = [outcome async for outcome in running]
        evaluation, settled = await here.finish(outcomes)
        assert {outcome.node_id for outcome in outcomes} == {1, 2}
        assert all(outcome.receipt.steps == 40 for outcome in outcomes)
        assert evaluation.checkpoint["loss"] < evaluation.base["loss"]
        assert (settled.leaf_count, settled.scoring) == (5, "leave-one-out")
        assert sum(settled.payouts.values()) == 500_000


async def test_a_killed_agent_s_shard_goes_on_from_its_last_checkpoint_elsewhere(home, tiny_spec, monkeypatch):
    monkeypatch.setenv("ATLAS_HEARTBEAT_SECONDS", "15")  # the chain has to notice that an agent is gone
    spec = two_shards(tiny_spec, steps=1500, checkpoint_every=20)
    killed = []

    def kill_one(update):
        if update.event == "checkpoint" and not killed:
            killed.append(update)
            for process in psutil.Process(here.network.pid).children():
                if f"node-{update.node_id}" in " ".join(process.cmdline()):
                    os.kill(process.pid, 9)

    async with Coordinator(home, spec, restart_agents=False) as here:
        async with here.training(kill_one) as running:
            outcomes = [outcome async for outcome in running]
        assert all(isinstance(outcome, CompletedTask) for outcome in outcomes), outcomes
        (victim,) = killed
        survivor = 3 - victim.node_id
        again = next(outcome for outcome in outcomes if outcome.task.task_id == victim.task.task_id)
        assert (again.node_id, again.task.attempt) == (survivor, 2)
        assert again.receipt.resumed_from == again.task.resume is not None
        assert again.receipt.steps == 1500
        _, settled = await here.finish(outcomes)
        done = {1: 0, 2: 0}
        for outcome in outcomes:
            done[outcome.node_id] += 1
        done[survivor] += 1  # the evaluation
        assert {share.node: share.count for share in settled.per_node} == {
            node: count for node, count in done.items() if count
        }


async def test_a_coordinator_that_starts_again_in_mid_round_trains_and_pays_nothing_twice(home, tiny_spec):
    spec = two_shards(tiny_spec, steps=300, checkpoint_every=50)
    with ensure_local_network(home):
        async with Coordinator(home, spec) as first, first.training() as running:
            early = await anext(running)
            receipts = {early.receipt_cid}
        async with Coordinator(home, spec) as second:
            async with second.training() as running:
                outcomes = [outcome async for outcome in running]
            assert receipts < {outcome.receipt_cid for outcome in outcomes}
            assert {outcome.task.attempt for outcome in outcomes} == {1}
            assert sum(outcome.adopted for outcome in outcomes) >= 1
            _, settled = await second.finish(outcomes)
            paid = sum(settled.payouts.values())
            assert paid == 300_000 == second.ledger.job(second.job.job_id).paid
        async with Coordinator(home, spec) as third:
            async with third.training() as running:
                outcomes = [outcome async for outcome in running]
            assert all(outcome.adopted for outcome in outcomes)
            _, settled = await third.finish(outcomes)
            assert settled.settle_tx is None
            assert third.ledger.job(third.job.job_id).paid == paid


async def test_an_agent_that_is_killed_and_started_again_keeps_its_task(home, tiny_spec):
    spec = two_shards(tiny_spec, steps=1000, checkpoint_every=50)
    killed = []

    def kill_one(update):
        if update.event == "checkpoint" and not killed:
            killed.append(update)
            for process in psutil.Process(here.network.pid).children():
                if f"node-{update.node_id}" in " ".join(process.cmdline()):
                    os.kill(process.pid, 9)

    async with Coordinator(home, spec) as here:
        async with here.training(kill_one) as running:
            outcomes = [outcome async for outcome in running]
        assert killed
        assert all(isinstance(outcome, CompletedTask) for outcome in outcomes)
        assert {outcome.task.attempt for outcome in outcomes} == {1}
