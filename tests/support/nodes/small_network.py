"""A small real network for the tests of the agent: an embedded chain, a message server, and a coordinator's hand."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from atlas.content.local.store import LocalStore
from atlas.data.prepare import prepare_dataset
from atlas.documents.manifests import SignedReceipt
from atlas.documents.stored import get_document, put_document
from atlas.models.files import model_manifest
from atlas.rounds.checkpoint import untrained_checkpoint
from atlas.spec.job import JobSpec, TaskSpec
from atlas.spec.task_plan import TaskPlan
from chain_bridge.client.keys import Key, load_or_create_key
from chain_bridge.client.messages import Assignment, Lease, Share, SlotAttempt
from chain_bridge.client.network import Network
from chain_bridge.ledger import Ledger
from chain_bridge.networks.deploy import CONTRACT_WASM, deploy_contract
from node_agent.tasks.run_here import run_trainer
from node_agent.tasks.trainer_files import TrainerOrder
from node_agent.wire import subjects
from node_agent.wire.bus import Bus
from node_agent.wire.messages import AssignHint, TaskReport
from tests.support.nodes.nats_server import NatsServer
from tests.support.paths import REPOSITORY

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 120) -> Any:
    """Poll until the condition gives something true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


@dataclass
class AgentProcess:
    """An `atlas-node start` of its own."""

    home: Path
    process: subprocess.Popen[bytes] | None = None
    node_id: int = 0
    address: str = ""

    @property
    def output(self) -> str:
        return (self.home / "output.log").read_text()

    def start(self) -> "AgentProcess":
        with (self.home / "output.log").open("ab") as log:
            begin = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "node_agent", "start", "--home", str(self.home), "--json"],
                env=ENVIRONMENT,
                stdout=log,
                stderr=log,
            )

        def ready() -> dict[str, Any] | None:
            assert self.process is not None
            assert self.process.poll() is None, self.output
            lines = (self.home / "output.log").read_bytes()[begin:].splitlines()
            return next((json.loads(line) for line in lines if line.startswith(b'{"node_id"')), None)

        found = wait_until(ready, "the agent to be ready")
        self.node_id, self.address = found["node_id"], found["address"]
        return self

    def trainers(self) -> list[psutil.Process]:
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if str(self.home) in " ".join(process.info["cmdline"] or []) and "node_agent.trainer" in process.cmdline()
        ]

    def kill(self) -> None:
        """`kill -9`."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@dataclass
class SmallNetwork:
    """What a coordinator would do, one step at a time."""

    folder: Path
    bus: NatsServer
    heartbeat_seconds: int = 60
    gas_price: float = 0.0
    settings: dict[str, int] = field(default_factory=dict)
    """Of the contract, beside the windows of heartbeats and challenges."""
    agents: list[AgentProcess] = field(default_factory=list)

    def start(self) -> None:
        self.key: Key = load_or_create_key(self.folder / "operator.key", "atlas")
        self.port = "0"
        url = self.start_chain()
        self.port = url.rpartition(":")[2]
        network = Network(chain_id="atlas-test", url=url, gas_price=self.gas_price)
        contract = deploy_contract(network, self.key, CONTRACT_WASM, self.heartbeat_seconds, 1, **self.settings)
        self.network = network.model_copy(update={"contract": contract})
        self.ledger = Ledger(self.network, self.key)
        self.store = LocalStore(self.folder / "content")
        self.store.root.mkdir()

    def start_chain(self) -> str:
        """The chain, on the same port as before; its URL."""
        command = [sys.executable, "-m", "chain_bridge.embedded", "--home", str(self.folder / "chain")]
        command += [
            "--gas-price",
            str(self.gas_price),
            "--port",
            self.port,
            "--chain-id",
            "atlas-test",
            "--genesis",
            f"{self.key.address}=1000000000",
        ]
        self._chain = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE)
        assert self._chain.stdout is not None
        return str(json.loads(self._chain.stdout.readline())["url"])

    def stop_chain(self) -> None:
        self._chain.kill()
        self._chain.communicate()

    def kill_agents(self) -> None:
        for agent in self.agents:
            if agent.process is not None and agent.process.poll() is None:
                agent.kill()

    def stop(self) -> None:
        self.kill_agents()
        self.ledger.close()
        self.stop_chain()

    def agent(self, **settings: Any) -> AgentProcess:
        """A new agent's folder with settings; not started yet."""
        home = self.folder / f"node-{len(self.agents) + 1}"
        home.mkdir(mode=0o700)
        config = {
            "network": self.network.model_dump(mode="json"),
            "bus": self.bus.url,
            "content": str(self.store.root),
            "heartbeat_seconds": 1,
            "keep_trainer_seconds": 1,
            **settings,
        }
        (home / "config.yaml").write_text(yaml.safe_dump(config))
        agent = AgentProcess(home)
        self.agents.append(agent)
        return agent

    def open_job(self, spec_file: Path) -> list[TaskSpec]:
        """Create a new job; its first round's training tasks, and last the evaluation of the untrained checkpoint."""
        spec = JobSpec.load(spec_file)
        dataset = prepare_dataset(spec.dataset, self.store, self.folder / "cache", spec.training.seed)
        model = put_document(self.store, model_manifest(spec.model.source, None, self.folder / "cache"))
        job = put_document(self.store, spec)
        base = put_document(self.store, untrained_checkpoint(job, self.untrained_adapter(spec)))
        job_id = self.ledger.create_job(
            key=f"{spec.name}-{len(self.ledger.jobs()) + 1}",
            spec=job,
            dataset=dataset.cid,
            shards=len(dataset.shards),
            rounds=spec.rounds,
            reward=spec.payment.reward_per_task,
            lease_seconds=spec.fleet.lease_seconds,
            escrow=spec.payment.reward_per_task * (len(dataset.shards) + 1) * spec.rounds,
        )
        shared = {"contract": self.network.contract, "job_id": job_id, "job": job, "model": model, "round": 1}
        tasks = [
            TaskSpec(
                kind="train",
                slot=slot,
                shard=shard.key,
                data=shard.cid,
                rows=shard.rows,
                base=base,
                attempt=1,
                **shared,
            )
            for slot, shard in enumerate(dataset.shards)
        ]
        holdout = dataset.holdout
        evaluation = TaskSpec(
            kind="evaluate",
            slot=len(tasks),
            data=holdout.cid,
            rows=holdout.rows,
            base=base,
            checkpoints=[base],
            attempt=1,
            **shared,
        )
        return [*tasks, evaluation]

    def untrained_adapter(self, spec: JobSpec) -> str:
        """CID of the adapter of round 0."""
        cache, folder = self.folder / "cache", self.folder / "initialize"
        order = TrainerOrder(
            kind="initialize",
            task_id=spec.name,
            spec=spec,
            model=model_manifest(spec.model.source, None, cache),
            cache=cache,
            threads=1,
            device="cpu",
            parent=os.getpid(),
        )
        adapter = run_trainer(order, folder, os.environ).adapter
        assert adapter is not None
        return self.store.put(adapter)

    def assign(self, task: TaskSpec, agent: AgentProcess) -> AssignHint:
        """Put the task and its plan into the store, lease its slot to the agent, and make the hint."""
        put_document(self.store, task)
        plan = put_document(self.store, TaskPlan.over([task]))
        items = [Assignment(slot=task.slot, node=agent.node_id, attempt=task.attempt)]
        self.ledger.assign_batch(task.job_id, task.round, plan, items)
        return self.hint(task)

    def hint(self, task: TaskSpec) -> AssignHint:
        fields = ("task_id", "job_id", "round", "slot", "attempt")
        return AssignHint(task=task.cid, **{name: getattr(task, name) for name in fields})

    def finish_round(self, task: TaskSpec, report: TaskReport, agent: AgentProcess) -> None:
        """Complete, submit and settle the round of the one task that was done in it."""
        place = (task.job_id, task.round)
        self.ledger.complete_batch(*place, [SlotAttempt(task.slot, task.attempt)])
        share = Share(agent.node_id, 1, 10_000)
        self.ledger.submit_round(*place, b"\x00" * 32, 1, task.base, report.receipt, [share])

        def settled() -> bool:
            try:
                self.ledger.settle(*place)
            except Exception:
                return False
            return True

        wait_until(settled, "the challenge window")

    def lease(self, task: TaskSpec) -> Lease:
        lease = self.ledger.lease(task.job_id, task.round, task.slot)
        assert lease is not None
        return lease

    def receipt(self, report: TaskReport) -> SignedReceipt:
        assert report.receipt is not None, report
        return get_document(self.store, report.receipt, SignedReceipt)


async def ask(bus: Bus, agent: AgentProcess, hint: AssignHint) -> TaskReport:
    """One hint, one report."""
    answer = await bus.request(subjects.assign(agent.node_id), hint.to_body(), timeout=20, sender=agent.address)
    return answer.read(TaskReport)


async def ask_until(
    bus: Bus, agent: AgentProcess, hint: AssignHint, condition: Callable[[TaskReport], bool], seconds: float = 120
) -> TaskReport:
    """Hint again and again, as a coordinator does, until the report is as wanted or the task has ended."""
    async with asyncio.timeout(seconds):
        while True:
            report = await ask(bus, agent, hint)
            if condition(report) or report.state in ("completed", "failed", "paused"):
                return report
            await asyncio.sleep(0.02)
