"""A real agent process on a real chain and bus, training a tiny model: what it promises, whatever is killed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from atlas.aggregation.compression.wire import decode_update
from atlas.content.format.cid import cid_of_file
from atlas.documents.manifests import Checkpoint
from atlas.documents.stored import get_document
from atlas.signing import KeySigner
from atlas.spec.job import JobSpec, TaskSpec
from atlas.verification.receipts import verify_receipt
from chain_bridge.client.messages import Assignment, SlotAttempt
from node_agent.home.residuals import Residuals
from node_agent.tasks.inputs import prepare_order
from node_agent.tasks.progress_messages import payload_of
from node_agent.tasks.run_here import run_trainer
from node_agent.tasks.trainer_files import TrainerResult
from node_agent.tasks.trainer_process import trainer_environment
from node_agent.wire import subjects
from node_agent.wire.bus import Bus, Message
from node_agent.wire.messages import Heartbeat, PipesLine, TaskReport
from tests.support.nodes.nats_server import NatsServer
from tests.support.nodes.small_network import ENVIRONMENT, AgentProcess, SmallNetwork, ask, ask_until, wait_until

pytestmark = pytest.mark.slow
SHORT = {"steps": 8, "batch_size": 4, "checkpoint_every": 2}
LONG = {"steps": 600, "batch_size": 4, "checkpoint_every": 20, "learning_rate": 1e-4}


@pytest.fixture(scope="module")
def shared_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallNetwork]:
    """One chain and one message server for all; every test has agents and jobs of its own."""
    folder = tmp_path_factory.mktemp("network")
    server = NatsServer(folder)
    server.start()
    network = SmallNetwork(folder, server)
    network.start()
    yield network
    network.stop()
    server.stop()


@pytest.fixture
def network(shared_network: SmallNetwork) -> Iterator[SmallNetwork]:
    yield shared_network
    shared_network.kill_agents()


@pytest.fixture
async def bus(network: SmallNetwork):
    bus = await Bus.connect(network.bus.url, network.key)
    yield bus
    await bus.close()


def train_undisturbed(network: SmallNetwork, task: TaskSpec) -> str:
    """The adapter that a trainer makes of a task when nobody interferes."""
    folder = network.folder / f"undisturbed-{task.job_id}"
    folder.mkdir()
    prepare_order(task, network.store.fetch(task.data), None, network.store, network.folder / "cache", 1, "cpu").write(
        folder / "task.json"
    )
    environment = trainer_environment(os.environ, 1, "", network.folder / "cache")
    command = [sys.executable, "-m", "node_agent.trainer", "--task", str(folder)]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    adapter = TrainerResult.read(folder / "result.json").adapter
    assert adapter is not None
    return network.store.put(adapter)


def nothing_is_left(agent: AgentProcess) -> bool:
    return not agent.trainers() and not list((agent.home / "work").glob("*"))


async def restarts_of(task: TaskSpec, bus: Bus) -> list[dict[str, Any]]:
    """What is reported from now on about trainers of a task that are started again."""
    found: list[dict[str, Any]] = []

    async def listen(message: Message) -> None:
        payload = payload_of(message.read(PipesLine).pipes)
        if payload.get("kind") == "restarted":
            found.append(payload)

    await bus.subscribe(subjects.pipes(task.task_id), listen)
    return found


def training(report: TaskReport) -> bool:
    return report.checkpoint is not None


def never(report: TaskReport) -> bool:
    return False


async def test_tasks_become_adapters_with_receipts_that_verify(network: SmallNetwork, bus: Bus, tiny_spec: Any) -> None:
    agent = network.agent().start()
    heard: list[Message] = []

    async def listen(message: Message) -> None:
        heard.append(message)

    *tasks, evaluation = network.open_job(tiny_spec(training=SHORT))
    gradients, rollback = subjects.gradients(evaluation.job_id), subjects.rollback(evaluation.job_id)
    for subject in (gradients, rollback, "atlas.tasks.*.pipes", subjects.heartbeat("*")):
        await bus.subscribe(subject, listen)
    work = [tasks[0], tasks[1], evaluation]
    hints = [network.assign(task, agent) for task in work]
    reports = [await ask_until(bus, agent, hint, never) for hint in hints]

    assert [report.state for report in reports] == ["completed"] * 3, reports
    receipts = [
        verify_receipt(network.receipt(report), task, agent.address, "none")
        for report, task in zip(reports, work, strict=True)
    ]
    for receipt, report in zip(receipts[:2], reports[:2], strict=True):
        assert receipt.adapter == report.adapter
        assert report.adapter == network.store.put(network.store.fetch(report.adapter))
        assert (receipt.steps, receipt.rows_seen, len(receipt.losses)) == (8, 32, 8)
        assert receipt.checkpoints[-1].step == 8
        assert all(network.store.has(saved.cid) for saved in receipt.checkpoints)
    assert receipts[2].metrics[evaluation.base]["rows"] == evaluation.rows
    assert reports[0].adapter == train_undisturbed(network, tasks[0])
    assert await ask(bus, agent, hints[0]) == reports[0], "later hints get the same report"
    wait_until(lambda: nothing_is_left(agent), "the work folders to be cleaned")

    assert {message.sender for message in heard} == {agent.address}
    finals = [m.read(TaskReport) for m in heard if m.subject == gradients]
    assert finals == reports
    saved = [m.read(TaskReport).checkpoint for m in heard if m.subject == rollback]
    assert [point for point in saved if point in receipts[0].checkpoints] == receipts[0].checkpoints
    pipes = [m.body["pipes"] for m in heard if m.subject == subjects.pipes(tasks[0].task_id)]
    pipes = [line for line in pipes if payload_of(line).get("kind") != "stage"]
    assert [pipes[0]["method"], pipes[-1]["method"]] == ["opened", "closed"]
    payloads = [line["params"]["payload"] for line in pipes if line["method"] == "report_custom_message"]
    assert [payload["step"] for payload in payloads if payload["kind"] == "progress"] == list(range(1, 9))
    assert {payload["cid"] for payload in payloads if payload["kind"] == "checkpoint"} == {
        point.cid for point in receipts[0].checkpoints
    }
    beats = [m.read(Heartbeat) for m in heard if m.subject == subjects.heartbeat(agent.node_id)]
    assert beats
    assert beats[0].slots == 1
    assert agent.stop() == 0


async def test_a_hint_that_the_chain_does_not_confirm_is_refused(
    network: SmallNetwork, bus: Bus, tiny_spec: Any
) -> None:
    agent = network.agent().start()
    first, second, *_ = network.open_job(tiny_spec(training=SHORT))
    hint = network.assign(first, agent)

    stranger = await Bus.connect(network.bus.url, KeySigner(b"\x07" * 32, "atlas"))
    report = await ask(stranger, agent, hint)
    await stranger.close()
    assert report.state == "failed"
    assert f"belongs to {network.key.address}" in (report.error or "")
    assert network.lease(first).state == "active", "a stranger cannot make a node give up its lease"

    wrong = [
        (network.hint(second), "no lease of slot 1"),
        (hint.model_copy(update={"job_id": 99}), "no job 99"),
        (hint.model_copy(update={"attempt": 2}), "is attempt 1 of node"),
        (hint.model_copy(update={"task": second.cid}), f"the hint names {second.cid}"),
    ]
    for lie, reason in wrong:
        report = await ask(bus, agent, lie)
        assert report.state == "failed"
        assert reason in (report.error or ""), report.error
    assert network.lease(first).state == "active"

    report = await ask(bus, agent, hint.model_copy(update={"task_id": "0" * 16}))
    assert "The hint has task_id 0000000000000000" in (report.error or "")
    assert network.lease(first).state == "released", "what cannot be done is given back"


async def test_beyond_its_capacity_a_node_refuses_and_gives_the_lease_back(
    network: SmallNetwork, bus: Bus, tiny_spec: Any
) -> None:
    agent = network.agent(capacity=1, heartbeat_seconds=60).start()
    first, second, *_ = network.open_job(tiny_spec(training={**LONG, "steps": 100_000}))
    assert (await ask(bus, agent, network.assign(first, agent))).state in ("pending", "in_progress")
    network.ledger.release_batch(first.job_id, first.round, [SlotAttempt(first.slot, 1)])
    hint = network.assign(second, agent)
    report = await ask(bus, agent, hint)
    assert report.state == "failed", "the chain sees room, but the node has not heard of that yet"
    assert "has 1 task already" in (report.error or "")
    assert network.lease(second).state == "released"


async def test_a_task_whose_hint_is_lost_is_taken_up_from_the_chain(
    network: SmallNetwork, bus: Bus, tiny_spec: Any
) -> None:
    agent = network.agent().start()
    task, *_ = network.open_job(tiny_spec(training=SHORT))
    finals: asyncio.Queue[TaskReport] = asyncio.Queue()

    async def listen(message: Message) -> None:
        await finals.put(message.read(TaskReport))

    await bus.subscribe(subjects.gradients(task.job_id), listen)
    hint = network.assign(task, agent)
    report = await asyncio.wait_for(finals.get(), 60)
    assert (report.state, report.task) == ("completed", task.cid)
    assert await ask(bus, agent, hint) == report, "a hint that comes late changes nothing"


async def test_a_lease_whose_plan_cannot_be_read_is_given_back(network: SmallNetwork, bus: Bus, tiny_spec: Any) -> None:
    agent = network.agent().start()
    task, *_ = network.open_job(tiny_spec(training=SHORT))
    items = [Assignment(slot=task.slot, node=agent.node_id, attempt=1)]
    network.ledger.assign_batch(task.job_id, task.round, task.cid, items)
    wait_until(lambda: network.lease(task).state == "released", "the lease to be released", 30)


async def test_a_killed_trainer_goes_on_from_its_checkpoint(network: SmallNetwork, bus: Bus, tiny_spec: Any) -> None:
    agent = network.agent().start()
    task, *_ = network.open_job(tiny_spec(training=LONG))
    restarts = await restarts_of(task, bus)
    hint = network.assign(task, agent)
    before = await ask_until(bus, agent, hint, training)
    (trainer,) = agent.trainers()
    trainer.kill()
    report = await ask_until(bus, agent, hint, never)
    assert report.state == "completed", report
    assert "was killed by signal 9; it is restarted" in agent.output
    (restarted,) = restarts
    assert restarted["reason"] == "its trainer was killed by signal 9"
    assert restarted["step"] >= before.checkpoint.step
    checkpoints = network.receipt(report).receipt.checkpoints
    assert before.checkpoint in checkpoints
    assert [point.step for point in checkpoints] == sorted({point.step for point in checkpoints})
    assert report.adapter == train_undisturbed(network, task)


async def test_a_trainer_that_stands_still_is_killed_and_goes_on_from_its_checkpoint(
    network: SmallNetwork, bus: Bus, tiny_spec: Any
) -> None:
    agent = network.agent().start()
    task, *_ = network.open_job(tiny_spec(training=LONG, fleet={"progress_seconds": 20}))
    restarts = await restarts_of(task, bus)
    hint = network.assign(task, agent)
    before = await ask_until(bus, agent, hint, training)
    (trainer,) = agent.trainers()
    trainer.send_signal(signal.SIGSTOP)
    report = await ask_until(bus, agent, hint, never)
    assert report.state == "completed", report
    assert not trainer.is_running()
    (restarted,) = restarts
    assert restarted["reason"] == "its trainer made no progress for 20 s"
    assert restarted["step"] >= before.checkpoint.step
    assert report.adapter == train_undisturbed(network, task)


async def test_a_killed_agent_takes_its_trainer_along_and_goes_on_after_restart(
    network: SmallNetwork, bus: Bus, tiny_spec: Any
) -> None:
    agent = network.agent().start()
    first, second, *_ = network.open_job(tiny_spec(training=LONG))
    restarts = await restarts_of(first, bus)
    hints = [network.assign(first, agent), network.assign(second, agent)]
    before = await ask_until(bus, agent, hints[0], training)
    await ask(bus, agent, hints[1])
    (trainer,) = agent.trainers()
    agent.kill()
    psutil.wait_procs([trainer], timeout=10)
    assert not trainer.is_running(), "an orphan trainer would train for nobody"

    agent.start()
    reports = [await ask_until(bus, agent, hint, never) for hint in hints]
    assert [report.state for report in reports] == ["completed"] * 2, reports
    assert before.checkpoint in network.receipt(reports[0]).receipt.checkpoints
    (restarted,) = restarts
    assert restarted["reason"] == "its agent was restarted"
    assert restarted["step"] >= before.checkpoint.step
    assert "starts from its base" in agent.output
    assert f"task {first.task_id} starts from baf" in agent.output
    assert reports[0].adapter == train_undisturbed(network, first)


async def test_what_compression_left_over_survives_a_kill_and_joins_the_next_round(
    network: SmallNetwork, bus: Bus, tiny_spec: Any
) -> None:
    agent = network.agent().start()
    spec_file = tiny_spec(training={**LONG, "steps": 200}, aggregation={"compression": "top-k"})
    first, *_ = network.open_job(spec_file)
    spec, base = JobSpec.load(spec_file), get_document(network.store, first.base, Checkpoint)
    report = await ask_until(bus, agent, network.assign(first, agent), never)
    assert report.state == "completed", report
    receipt = verify_receipt(network.receipt(report), first, agent.address, "top-k")
    assert receipt.residual is None
    assert receipt.encoded is not None
    assert receipt.adapter == report.adapter
    assert not network.store.has(receipt.adapter), "only what travels is uploaded"
    decoded = network.folder / "decoded"
    encoded, start = network.store.fetch(receipt.encoded), network.store.fetch(base.adapter)
    decode_update(encoded, start, spec.aggregation.compression, decoded)
    assert cid_of_file(decoded) == receipt.adapter

    network.finish_round(first, report, agent)
    second = first.model_copy(update={"round": 2})
    hint = network.assign(second, agent)
    await ask_until(bus, agent, hint, training)
    agent.kill()
    agent.start()
    report = await ask_until(bus, agent, hint, never)
    assert report.state == "completed", report
    receipt = verify_receipt(network.receipt(report), second, agent.address, "top-k")

    residuals = Residuals(agent.home / "residuals")
    order = prepare_order(
        second, network.store.fetch(second.data), None, network.store, network.folder / "cache", 1, "cpu", residuals
    )
    assert order.residual is not None
    assert receipt.residual == order.residual.name == cid_of_file(order.residual)
    undisturbed = run_trainer(order, network.folder / "again", os.environ)
    assert undisturbed.adapter is not None
    assert cid_of_file(undisturbed.adapter) == receipt.adapter
    without = run_trainer(order.model_copy(update={"residual": None}), network.folder / "without", os.environ)
    assert without.adapter is not None
    assert cid_of_file(without.adapter) != receipt.adapter


async def test_a_restarted_agent_drops_what_the_chain_took_away(
    network: SmallNetwork, bus: Bus, tiny_spec: Any
) -> None:
    agent = network.agent().start()
    task, *_ = network.open_job(tiny_spec(training=LONG))
    hint = network.assign(task, agent)
    await ask_until(bus, agent, hint, training)
    agent.kill()
    network.ledger.release_batch(task.job_id, task.round, [SlotAttempt(task.slot, task.attempt)])
    agent.start()
    report = await ask_until(bus, agent, hint, never, seconds=20)
    assert report.state == "failed"
    assert "no longer holds the lease" in (report.error or "")
    wait_until(lambda: nothing_is_left(agent), "the work folder to be cleaned")


async def test_a_running_task_is_dropped_when_its_lease_goes(network: SmallNetwork, bus: Bus, tiny_spec: Any) -> None:
    agent = network.agent().start()
    task, *_ = network.open_job(tiny_spec(training={**LONG, "steps": 100_000}))
    hint = network.assign(task, agent)
    await ask_until(bus, agent, hint, training)
    network.ledger.release_batch(task.job_id, task.round, [SlotAttempt(task.slot, task.attempt)])
    report = await ask_until(bus, agent, hint, never, seconds=30)
    assert report.state == "failed"
    wait_until(lambda: nothing_is_left(agent), "the trainer to be gone")


async def test_a_stopped_agent_saves_its_work_for_the_next_one(network: SmallNetwork, bus: Bus, tiny_spec: Any) -> None:
    """SIGTERM: emergency checkpoint, `paused`, leases released, exit 0; the next attempt ends with the same adapter."""
    agent, other = network.agent().start(), network.agent().start()
    first, second, *_ = network.open_job(tiny_spec(training={**LONG, "checkpoint_every": 100_000}))
    finals: asyncio.Queue[TaskReport] = asyncio.Queue()

    async def listen(message: Message) -> None:
        await finals.put(message.read(TaskReport))

    await bus.subscribe(subjects.gradients(first.job_id), listen)
    hints = [network.assign(first, agent), network.assign(second, agent)]
    await ask(bus, agent, hints[0])
    await ask(bus, agent, hints[1])
    await ask_until(bus, agent, hints[0], lambda report: report.step > 3)
    assert await asyncio.to_thread(agent.stop) == 0
    reports = {report.task: report for report in [await asyncio.wait_for(finals.get(), 10) for _ in hints]}
    assert {report.state for report in reports.values()} == {"paused"}
    saved = reports[first.cid].checkpoint
    assert saved is not None
    assert 3 < saved.step < LONG["steps"]
    assert network.store.has(saved.cid)
    assert [network.lease(task).state for task in (first, second)] == ["released", "released"]
    assert nothing_is_left(agent)

    again = first.model_copy(update={"attempt": 2, "resume": saved.cid})
    report = await ask_until(bus, other, network.assign(again, other), never)
    assert report.state == "completed", report
    receipt = verify_receipt(network.receipt(report), again, other.address, "none")
    assert receipt.resumed_from == saved.cid
    assert report.adapter == train_undisturbed(network, first)


async def test_a_failing_task_gives_its_reason_and_its_lease_back(
    network: SmallNetwork, bus: Bus, tiny_spec: Any
) -> None:
    agent = network.agent().start()
    first, second, *_ = network.open_job(tiny_spec(training=SHORT))
    rows = network.store.put(b'{"label":"neutral","text":"fine"}\n')
    bad = first.model_copy(update={"data": rows, "rows": 1})
    report = await ask_until(bus, agent, network.assign(bad, agent), never)
    assert report.state == "failed"
    assert "neutral" in (report.error or "")
    wait_until(lambda: network.lease(bad).state == "released", "the lease to be released")
    lost = second.model_copy(update={"data": "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"})
    report = await ask_until(bus, agent, network.assign(lost, agent), never)
    assert report.state == "failed"
    assert "bafkreigh2akiscaildc" in (report.error or "")
    wait_until(lambda: network.lease(lost).state == "released", "the lease to be released")
    good = first.model_copy(update={"attempt": 2})
    assert (await ask_until(bus, agent, network.assign(good, agent), never)).state == "completed"


async def test_a_trainer_that_dies_again_and_again_is_given_up(network: SmallNetwork, bus: Bus, tiny_spec: Any) -> None:
    agent = network.agent().start()
    task, *_ = network.open_job(tiny_spec(training={**LONG, "steps": 100_000}))
    hint = network.assign(task, agent)
    await ask(bus, agent, hint)
    killed: set[int] = set()
    for _ in range(3):
        (trainer,) = wait_until(lambda: [t for t in agent.trainers() if t.pid not in killed], "the next trainer")
        killed.add(trainer.pid)
        trainer.kill()
    report = await ask_until(bus, agent, hint, never, seconds=30)
    assert report.state == "failed"
    assert "after 2 restarts" in (report.error or "")


async def test_training_goes_on_without_chain_and_bus(network: SmallNetwork, bus: Bus, tiny_spec: Any) -> None:
    agent = network.agent().start()
    task, *_ = network.open_job(tiny_spec(training=LONG))
    hint = network.assign(task, agent)
    await ask_until(bus, agent, hint, training)
    network.stop_chain()
    network.bus.stop()
    wait_until(lambda: nothing_is_left(agent), "the task to be finished")
    network.bus.start()
    network.start_chain()
    wait_until(lambda: bus.is_connected, "the bus to be back")
    async with asyncio.timeout(60):
        while True:
            try:
                report = await ask(bus, agent, hint)
                break
            except Exception:
                await asyncio.sleep(0.5)
    assert report.state == "completed"
    seen = network.ledger.node(agent.node_id).last_seen
    wait_until(lambda: network.ledger.node(agent.node_id).last_seen > seen, "the next heartbeat on chain")


async def test_what_is_earned_is_withdrawn(network: SmallNetwork, bus: Bus, tiny_spec: Any) -> None:
    agent = network.agent().start()
    task, *_ = network.open_job(tiny_spec(training=SHORT))
    report = await ask_until(bus, agent, network.assign(task, agent), never)
    network.finish_round(task, report, agent)
    ledger = network.ledger
    wait_until(lambda: ledger.balance(agent.address) == 100_000, "the reward on the node's account")
    assert ledger.credit(agent.address) == 0


def test_two_agents_cannot_share_a_folder_and_status_reads_beside_one(network: SmallNetwork) -> None:
    agent = network.agent().start()

    def atlas_node(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "node_agent", *arguments, "--home", str(agent.home)]
        return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False)

    node_id = agent.node_id
    second = atlas_node("start")
    assert second.returncode == 1
    assert "runs in" in second.stderr
    assert agent.address in atlas_node("status").stdout
    agent.stop()
    config = agent.home / "config.yaml"
    config.write_text(config.read_text() + "capacity: 3\n")
    agent.start()
    assert agent.node_id == node_id, "the registration is found again"
    assert network.ledger.node(node_id).capacity == 3, "the changed setting is on chain"
    registered = atlas_node("register", "--json")
    assert f'"owner": "{agent.address}"' in registered.stdout
    assert agent.process is not None
    agent.process.send_signal(signal.SIGINT)
    assert agent.process.wait(20) == 0
