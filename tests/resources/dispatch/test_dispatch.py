"""The dispatcher against a real chain and a real bus, with nodes that do what a test says."""

import asyncio
import time
from contextlib import aclosing

import pytest

from atlas.documents.stored import get_document
from atlas.spec.job import TaskSpec
from chain_bridge.client.keys import load_or_create_key
from node_agent.tasks.progress_messages import custom
from node_agent.wire import subjects
from node_agent.wire.bus import Bus
from node_agent.wire.messages import CoordinatorPresence, RoundCheckpoint
from resources.dispatch.announcements import present
from resources.dispatch.leased_tasks import leased_tasks
from resources.dispatch.outcomes import CompletedTask, LostTask
from resources.errors import JobEnded
from resources.jobs.opened import refuse_ended_job
from resources.rounds.tasks import (
    evaluation_task,
    training_tasks,
)
from tests.support.jobs.scripted_nodes import adapter_bytes, completes, fails, works_on


@pytest.fixture
def job(place, paper_spec):
    return place.open(paper_spec())


async def collect(running) -> list:
    async with aclosing(running) as outcomes:
        return [outcome async for outcome in outcomes]


def leases(place, job):
    return {lease.slot: lease for lease in place.ledger.leases(job.job_id, 1)}


async def test_every_task_is_done_once_shared_by_the_nodes_and_completed_on_chain(place, job, add_node, bus):
    nodes = [await add_node(), await add_node()]
    updates = []
    dispatcher = await place.dispatcher(bus)
    tasks = training_tasks(job, 1, job.untrained)
    outcomes = await collect(dispatcher.run(job, 1, tasks, on_update=updates.append))

    assert all(isinstance(one, CompletedTask) and not one.adopted for one in outcomes)
    assert sorted(one.task.slot for one in outcomes) == [0, 1, 2, 3]
    assert {node.node_id: sum(one.node_id == node.node_id for one in outcomes) for node in nodes} == {1: 2, 2: 2}
    assert all(place.store.read(one.result) == adapter_bytes(one.task.slot) for one in outcomes)
    assert {lease.state for lease in leases(place, job).values()} == {"completed"}
    assert [attempt.state for attempt in place.registry.attempts(job.round(1))] == ["completed"] * 4
    assert [update.event for update in updates].count("assigned") == 4


async def test_the_coordinator_announces_itself_and_the_checkpoint_of_a_round(place, job, add_node, bus, tmp_path):
    heard = []

    async def record(message):
        heard.append(message)

    await add_node()
    listener = await Bus.connect(place.addresses.bus, load_or_create_key(tmp_path / "observer.key", "atlas"))
    await listener.subscribe(subjects.aggregator(job.job_id), record)
    await listener.subscribe(subjects.model(job.job_id), record)
    dispatcher = await place.dispatcher(bus, presence_seconds=0.05)
    trained = await collect(dispatcher.run(job, 1, training_tasks(job, 1, job.untrained)))
    async with asyncio.timeout(30):
        while not heard:
            await asyncio.sleep(0.01)
    checkpoint = place.round(job).aggregate(place.round(job).build_manifest(trained)).cid
    await collect(dispatcher.run(job, 1, [evaluation_task(job, 1, job.untrained, checkpoint)]))
    async with asyncio.timeout(30):
        while all(message.subject != subjects.model(job.job_id) for message in heard):
            await asyncio.sleep(0.01)
    await listener.close()

    assert {message.sender for message in heard} == {place.operator.address}
    told = [message.read(CoordinatorPresence) for message in heard if "aggregator" in message.subject]
    assert {(one.job_id, one.round) for one in told} == {(job.job_id, 1)}
    assert told[0].open_tasks == 4
    (model,) = [message.read(RoundCheckpoint) for message in heard if "model" in message.subject]
    assert model == RoundCheckpoint(job_id=job.job_id, round=1, base=job.untrained, checkpoint=checkpoint)


async def test_an_announcement_that_cannot_be_sent_is_logged(job, bus, caplog):
    await bus.close()
    async with present(bus, job.round(1), lambda: 1, seconds=0.01), asyncio.timeout(30):
        while caplog.text.count("could not publish") < 2:
            await asyncio.sleep(0.01)


async def test_a_second_run_adopts_everything_and_asks_nobody(place, job, add_node, bus):
    node = await add_node()
    tasks = training_tasks(job, 1, job.untrained)
    first = await collect((await place.dispatcher(bus)).run(job, 1, tasks))
    asked = dict(node.asked)
    second = await collect((await place.dispatcher(bus)).run(job, 1, tasks))
    assert all(one.adopted for one in second)
    assert {one.receipt_cid for one in second} == {one.receipt_cid for one in first}
    assert node.asked == asked
    assert {lease.attempt for lease in leases(place, job).values()} == {1}


async def test_a_new_coordinator_takes_over_what_is_under_way(place, job, add_node, bus):
    async def last_one_waits(node, task, hint, count):
        waits = task.slot == 3 and not finish.is_set()
        return await (works_on if waits else completes)(node, task, hint, count)

    finish = asyncio.Event()
    node = await add_node(last_one_waits)
    tasks = training_tasks(job, 1, job.untrained)
    async with aclosing((await place.dispatcher(bus)).run(job, 1, tasks)) as running:
        seen = [await anext(running) for _ in range(3)]
    assert sorted(one.task.slot for one in seen) == [0, 1, 2]

    finish.set()
    updates = []
    outcomes = await collect((await place.dispatcher(bus)).run(job, 1, tasks, on_update=updates.append))
    assert {one.task.slot: one.adopted for one in outcomes} == {0: True, 1: True, 2: True, 3: False}
    assert {lease.attempt for lease in leases(place, job).values()} == {1}
    assert [update.event for update in updates if update.event in ("assigned", "adopted")] == ["adopted"]
    assert len(node.asked) == 4


async def test_a_task_that_fails_goes_to_another_node(place, job, add_node, bus):
    bad, good = await add_node(fails), await add_node()
    outcomes = await collect((await place.dispatcher(bus)).run(job, 1, training_tasks(job, 1, job.untrained)))
    assert {one.node_id for one in outcomes} == {good.node_id}
    attempts = place.registry.attempts(job.round(1))
    lost = [attempt for attempt in attempts if attempt.state == "lost"]
    assert {attempt.node_id for attempt in lost} == {bad.node_id}
    assert all(attempt.attempt == 1 and attempt.reason == "out of memory" for attempt in lost)
    assert len([attempt for attempt in attempts if attempt.attempt == 2]) == len(lost) > 0
    assert place.ledger.node(bad.node_id).used == 0


async def test_a_task_that_always_fails_costs_itself_alone(place, job, add_node, bus):
    async def slot_2_fails(node, task, hint, count):
        return await (fails if task.slot == 2 else completes)(node, task, hint, count)

    await add_node(slot_2_fails)
    outcomes = await collect((await place.dispatcher(bus)).run(job, 1, training_tasks(job, 1, job.untrained)))
    (lost,) = [one for one in outcomes if isinstance(one, LostTask)]
    assert lost.task.slot == 2
    assert "3 attempts" in lost.reason
    assert lost.final is None
    assert "out of memory" in lost.reason
    assert sorted(one.task.slot for one in outcomes if isinstance(one, CompletedTask)) == [0, 1, 3]
    assert [one.attempt for one in place.registry.attempts(job.round(1)) if one.slot == 2] == [1, 2, 3]


@pytest.mark.parametrize("nodes", [1, 3])
async def test_what_two_nodes_cannot_do_for_the_same_reason_no_third_one_tries(place, job, add_node, bus, nodes):
    async def slot_2_diverges(node, task, hint, count):
        if task.slot != 2:
            return await completes(node, task, hint, count)
        return node.report(task, "failed", error="Training diverged at step 1.", failure="diverged")

    for _ in range(nodes):
        await add_node(slot_2_diverges)
    outcomes = await collect((await place.dispatcher(bus)).run(job, 1, training_tasks(job, 1, job.untrained)))
    (lost,) = [one for one in outcomes if isinstance(one, LostTask)]
    assert (
        lost.reason
        == "given up, because 2 of 2 attempts failed in the same way (diverged): Training diverged at step 1."
    )
    assert lost.final == "repeats"
    tried = [one for one in place.registry.attempts(job.round(1)) if one.slot == 2]
    assert len(tried) == 2
    assert len({one.node_id for one in tried}) == min(nodes, 2)
    assert sorted(one.task.slot for one in outcomes if isinstance(one, CompletedTask)) == [0, 1, 3]


async def test_failures_of_different_kinds_are_no_word_of_two_nodes(place, job, add_node, bus):
    kinds = ["diverged", None, "targets"]

    async def always_fails(node, task, hint, count):
        return node.report(task, "failed", error="no", failure=kinds[task.attempt - 1])

    await add_node(always_fails)
    tasks = training_tasks(job, 1, job.untrained, shards=["s000"])
    (lost,) = await collect((await place.dispatcher(bus)).run(job, 1, tasks))
    assert lost.reason == "given up after 3 attempts: no"


async def test_a_result_that_the_gate_refuses_is_not_paid_and_trained_elsewhere(place, job, add_node, bus):
    async def breaks(node, task, hint, count):
        return node.completed(task, adapter_bytes(task.slot, broken=True))

    bad, good = await add_node(breaks), await add_node()
    gate = place.round(job, 1).gate()
    tasks = training_tasks(job, 1, job.untrained)
    outcomes = await collect((await place.dispatcher(bus)).run(job, 1, tasks, check=gate))
    assert {one.node_id for one in outcomes} == {good.node_id}
    refused = [one for one in place.registry.attempts(job.round(1)) if one.state == "refused"]
    assert {one.node_id for one in refused} == {bad.node_id}
    assert {one.gate for one in refused} == {"finite"}
    assert {lease.node for lease in leases(place, job).values()} == {good.node_id}


async def test_a_receipt_of_another_attempt_is_refused(place, job, add_node, bus):
    async def reuses(node, task, hint, count):
        other = task.model_copy(update={"attempt": 2})
        return node.report(task, "completed", receipt=node.completed(other).receipt)

    cheat, honest = await add_node(reuses), await add_node()
    tasks = training_tasks(job, 1, job.untrained, shards=["s000"])
    (outcome,) = await collect((await place.dispatcher(bus)).run(job, 1, tasks))
    assert outcome.node_id == honest.node_id
    refused, kept = place.registry.attempts(job.round(1))
    assert (refused.node_id, refused.gate, kept.state) == (cheat.node_id, "receipt", "completed")


async def test_a_result_that_another_node_reports_is_refused(place, job, add_node, bus):
    stolen = []

    async def steals_when_asked_again(node, task, hint, count):
        if count == 2:
            report = thief.completed(task)
            stolen.append(report.receipt)
            await thief.bus.publish(subjects.gradients(job.job_id), report.to_body())
        return await (works_on if count < 4 else completes)(node, task, hint, count)

    await add_node(steals_when_asked_again)
    thief = await add_node(fails)
    tasks = training_tasks(job, 1, job.untrained, shards=["s000"])
    (outcome,) = await collect((await place.dispatcher(bus)).run(job, 1, tasks))
    assert outcome.node_id != thief.node_id
    assert stolen
    assert outcome.receipt_cid not in stolen
    assert outcome.receipt.attempt == 1


async def test_a_result_that_nobody_asked_for_is_taken_at_once(place, job, add_node, bus):
    async def announces(node, task, hint, count):
        await node.bus.publish(subjects.gradients(job.job_id), node.completed(task).to_body())
        return node.report(task, "in_progress")

    await add_node(announces)
    dispatcher = await place.dispatcher(bus, poll_seconds=60)
    outcomes = await collect(dispatcher.run(job, 1, training_tasks(job, 1, job.untrained)))
    assert all(isinstance(one, CompletedTask) for one in outcomes)


async def test_more_tasks_than_the_fleet_has_room_for_wait_their_turn(place, job, add_node, bus):
    await add_node(capacity=1)
    dispatcher = await place.dispatcher(bus, patience_seconds=0)
    outcomes = await collect(dispatcher.run(job, 1, training_tasks(job, 1, job.untrained)))
    assert sorted(one.task.slot for one in outcomes if isinstance(one, CompletedTask)) == [0, 1, 2, 3]


async def test_without_any_node_a_task_is_given_up_after_the_patience(place, job, bus):
    updates = []
    dispatcher = await place.dispatcher(bus, patience_seconds=0.3)
    outcomes = await collect(
        dispatcher.run(job, 1, training_tasks(job, 1, job.untrained, shards=["s001"]), on_update=updates.append)
    )
    (lost,) = outcomes
    assert (lost.task.slot, "no node is available" in lost.reason) == (1, True)
    assert [update.event for update in updates] == ["waiting"]


async def test_pipes_messages_of_the_holder_alone_are_passed_on(place, job, add_node, bus):
    async def talks(node, task, hint, count):
        assert hint.pipes == {"DAGSTER_PIPES_CONTEXT": task.cid}
        for speaker in (other, node):
            await speaker.bus.publish(subjects.pipes(task.task_id), {"pipes": {"by": speaker.node_id}})
        return await (works_on if count < 3 else completes)(node, task, hint, count)

    other = await add_node(fails)
    node = await add_node(talks)
    other.beating.cancel()
    updates = []
    tasks = training_tasks(job, 1, job.untrained)
    running = (await place.dispatcher(bus)).run(
        job, 1, tasks, on_update=updates.append, pipes_env=lambda task: {"DAGSTER_PIPES_CONTEXT": task.cid}
    )
    await collect(running)
    heard = [update for update in updates if update.event == "message"]
    assert {update.message["by"] for update in heard} == {node.node_id}
    assert {update.task.slot for update in heard} == {0, 1, 2, 3}


@pytest.mark.slow
async def test_a_node_that_falls_silent_loses_its_task_which_goes_on_from_its_checkpoint(place, job, add_node, bus):
    saved = {}

    async def saves_and_dies(node, task, hint, count):
        saved[task.task_id] = node.checkpoint(7)
        asyncio.get_running_loop().call_later(0.2, lambda: asyncio.ensure_future(node.die()))
        return node.report(task, "in_progress", step=8, steps=9, checkpoint=saved[task.task_id])

    doomed = await add_node(saves_and_dies)
    dispatcher = await place.dispatcher(bus)
    tasks = training_tasks(job, 1, job.untrained)[:2]
    running = asyncio.create_task(collect(dispatcher.run(job, 1, tasks)))
    while len(saved) < 2:
        await asyncio.sleep(0.05)
    heir = await add_node()
    outcomes = await running
    assert {one.node_id for one in outcomes} == {heir.node_id}
    assert {one.task.attempt for one in outcomes} == {2}
    assert {one.task.task_id: one.task.resume for one in outcomes} == {
        task_id: checkpoint.cid for task_id, checkpoint in saved.items()
    }
    node = place.ledger.node(doomed.node_id)
    assert (node.used, node.reputation) == (0, 90)


async def test_nothing_is_assigned_once_the_round_is_submitted(place, job, add_node, bus):
    await add_node()
    dispatcher = await place.dispatcher(bus)
    tasks = training_tasks(job, 1, job.untrained)
    outcomes = await collect(dispatcher.run(job, 1, tasks[:3]))
    manifest = place.round(job, 1).build_manifest(outcomes)
    place.round(job, 1).settle(place.round(job, 1).aggregate(manifest).cid)
    outcomes = await collect(dispatcher.run(job, 1, tasks))
    (lost,) = [one for one in outcomes if isinstance(one, LostTask)]
    assert (lost.task.slot, "submitted" in lost.reason) == (3, True)


async def test_an_evaluation_is_a_task_like_any_other(place, job, add_node, bus):
    await add_node()
    task = evaluation_task(job, 1, place.round(job, 1).base, job.spec_cid)
    (outcome,) = await collect((await place.dispatcher(bus)).run(job, 1, [task]))
    assert outcome.task.slot == job.evaluation_slot
    assert outcome.result == outcome.receipt_cid


async def test_a_batch_is_leased_under_one_plan_that_names_its_tasks(place, job, add_node, bus):
    await add_node()
    outcomes = await collect((await place.dispatcher(bus)).run(job, 1, training_tasks(job, 1, job.untrained)))
    found = place.ledger.leases(job.job_id, 1)
    assert len({lease.plan for lease in found}) == 1
    assert leased_tasks(job.round(1), found, place.store) == {one.task.slot: one.task_cid for one in outcomes}


async def test_a_cancelled_job_gets_nothing_new_and_what_runs_is_finished(place, job, add_node, bus):
    async def fails_at_slot_3(node, task, hint, count):
        if task.slot == 3 and not cancelled.is_set():
            return await works_on(node, task, hint, count)
        return await (fails if task.slot == 3 else completes)(node, task, hint, count)

    cancelled = asyncio.Event()
    await add_node(fails_at_slot_3)
    tasks = training_tasks(job, 1, job.untrained)
    async with aclosing((await place.dispatcher(bus)).run(job, 1, tasks)) as running:
        done = [await anext(running) for _ in range(2)]
        await asyncio.to_thread(place.ledger.cancel_job, job.job_id)
        cancelled.set()
        done += [one async for one in running]
    (lost,) = [one for one in done if isinstance(one, LostTask)]
    assert (lost.task.slot, "is cancelled on chain" in lost.reason, lost.final) == (3, True, "ended")
    assert {lease.state for lease in leases(place, job).values()} == {"completed", "released"}
    assert place.ledger.job(job.job_id).reserved == 300_000
    with pytest.raises(JobEnded, match="cancelled on chain, so round 2 cannot begin"):
        refuse_ended_job(job, 2, place.ledger)
    refuse_ended_job(job, 1, place.ledger)


async def stands_still(node, task, hint, count):
    """Answer, and never get further than to the checkpoint of step 7."""
    return node.report(task, "in_progress", step=8, steps=9, checkpoint=node.checkpoint(7))


async def says_nothing(node, task, hint, count):
    """Be alive on chain, and give no answer: what a coordinator sees of an agent that was stopped."""
    return


@pytest.mark.slow
@pytest.mark.parametrize(("behaviour", "goes_on"), [(stands_still, True), (says_nothing, False)])
async def test_a_task_without_progress_is_taken_from_its_live_node_long_before_its_lease_ends(
    place, paper_spec, add_node, bus, behaviour, goes_on
):
    job = place.open(paper_spec(fleet={"progress_seconds": 1}))
    stuck = await add_node(behaviour)
    updates = []
    dispatcher = await place.dispatcher(bus)
    tasks = training_tasks(job, 1, job.untrained)[:2]
    running = asyncio.create_task(collect(dispatcher.run(job, 1, tasks, on_update=updates.append)))
    while len(stuck.asked) < 2:
        await asyncio.sleep(0.05)
    late = [get_document(place.store, cid, TaskSpec) for cid in stuck.asked]
    heir = await add_node()
    while sum(heir.asked.values()) < 2:
        await asyncio.sleep(0.02)
    for task in late:  # what the old attempt delivers all the same is refused
        await stuck.bus.publish(subjects.gradients(job.job_id), stuck.completed(task).to_body())
    outcomes = await running
    assert {(one.node_id, one.task.attempt) for one in outcomes} == {(heir.node_id, 2)}
    assert {one.task.resume is not None for one in outcomes} == {goes_on}
    assert {lease.state for lease in leases(place, job).values()} == {"completed"}
    node = place.ledger.node(stuck.node_id)
    assert (node.used, node.reputation) == (0, 100), "the lease was given back, not run out"
    told = {update.event: update.text for update in updates if update.task.shard == "s000"}
    assert told["lost"].startswith(f"s000, round 1: attempt 1 on node {stuck.node_id} is lost: no progress for")
    where = "resumes from step 7" if goes_on else "starts from the beginning"
    assert told["moved"] == (
        f"s000, round 1: moves from node {stuck.node_id} to node {heir.node_id} and {where} (attempt 2)"
    )


@pytest.mark.slow
async def test_a_slow_task_whose_node_tells_of_stages_steps_or_its_queue_is_left_alone(
    place, paper_spec, add_node, bus
):
    """Each task takes longer than the patience of 2.7 s, and each shows in another way that it advances."""
    job = place.open(paper_spec(fleet={"progress_seconds": 1}))

    async def slow(node, task, hint, count):
        if count > 45:
            return node.completed(task)
        match task.slot:
            case 0:
                return node.report(task, "pending")
            case 1:
                return node.report(task, "in_progress", step=count // 5, steps=10)
            case 2:
                return node.report(task, "in_progress")  # an agent that tells no stages
            case _:
                stage = custom({"kind": "stage", "stage": "fetching its inputs", "bytes": count << 20})
                await node.bus.publish(subjects.pipes(task.task_id), {"pipes": stage})
                return node.report(task, "in_progress")

    await add_node(slow)
    outcomes = await collect((await place.dispatcher(bus)).run(job, 1, training_tasks(job, 1, job.untrained)))
    assert {one.task.attempt for one in outcomes} == {1}
    assert len(outcomes) == 4


async def test_a_trainer_that_was_started_again_and_a_refused_update_are_told(place, job, add_node, bus):
    async def stumbles(node, task, hint, count):
        if count == 1:
            for step in (10, None, "\x1b[31m", -1):
                message = custom({"kind": "restarted", "reason": "its trainer was killed by signal 9", "step": step})
                await node.bus.publish(subjects.pipes(task.task_id), {"pipes": message})
            return node.report(task, "in_progress", step=11, steps=20)
        return node.completed(task, adapter_bytes(task.slot, broken=task.attempt == 1))

    node = await add_node(stumbles)
    updates = []
    gate = place.round(job, 1).gate()
    tasks = training_tasks(job, 1, job.untrained, shards=["s000"])
    running = (await place.dispatcher(bus)).run(job, 1, tasks, on_update=updates.append, check=gate)
    (outcome,) = await collect(running)
    assert outcome.task.attempt == 2
    texts = [update.text for update in updates if update.event == "restarted"]
    told = f"s000, round 1: its trainer was killed by signal 9 on node {node.node_id}; it resumes from"
    assert texts[0] == f"{told} step 10"
    assert set(texts[1:4]) == {f"{told} the checkpoint that it was given"}
    (refused,) = [update for update in updates if update.event == "refused"]
    assert "the update of attempt 1 on node" in refused.text
    assert "is refused by the gate finite: " in refused.text
    assert "lost" not in {update.event for update in updates}


async def test_a_node_whose_clock_is_wrong_loses_its_tasks_with_a_reason_that_names_both_clocks(
    place, job, add_node, bus
):
    """It works on what the chain has for it, but nothing that it says is admitted."""

    def ahead() -> float:
        return time.time() + 75

    async def talk() -> None:
        while True:
            for subject in (subjects.rollback(job.job_id), subjects.gradients(job.job_id)):
                await wrong.bus.publish(subject, {"anything": "at all"})
            await asyncio.sleep(0.1)

    wrong = await add_node(clock=ahead)
    right = await add_node()
    talking = asyncio.create_task(talk())
    try:
        tasks = training_tasks(job, 1, job.untrained)
        outcomes = await collect((await place.dispatcher(bus)).run(job, 1, tasks))
    finally:
        talking.cancel()
    assert {one.node_id for one in outcomes if isinstance(one, CompletedTask)} == {right.node_id}
    lost = [attempt for attempt in place.registry.attempts(job.round(1)) if attempt.state == "lost"]
    assert {attempt.node_id for attempt in lost} == {wrong.node_id}
    assert all("the clock of its node is wrong" in attempt.reason for attempt in lost)
    assert all(f"that of {wrong.key.address}" in attempt.reason for attempt in lost)
    assert all("75 s apart" in attempt.reason for attempt in lost)
