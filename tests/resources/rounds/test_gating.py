"""The gates of a round at work: what is refused at arrival goes to another node, and the round's end sees the rest."""

import asyncio

import pytest
from safetensors.numpy import load, save

from atlas.content.format.cid import cid_of_bytes
from atlas.documents.manifests import Checkpoint, Receipt, RoundManifest
from atlas.documents.stored import get_document
from atlas.spec.job import TaskSpec
from resources.dispatch.outcomes import CompletedTask
from resources.rounds.round_gate import RoundGate
from resources.rounds.tasks import training_tasks
from tests.support.jobs.scripted_nodes import adapter_bytes, completes, works_on
from tests.support.jobs.whole_rounds import run, train_round

LARGE = 40.0


@pytest.fixture
def job(place, paper_spec):
    return place.open(paper_spec())


def gate_of(place, job, number=1) -> RoundGate:
    return place.round(job, number).gate()


def attempts(place, job, state, number=1) -> list:
    return [one for one in place.registry.attempts(job.round(number)) if one.state == state]


def noisy(update: bytes) -> bytes:
    """Nearly the same update, in other bytes."""
    tensors = load(update)
    return save({name: value * 1.001 for name, value in tensors.items()})


def arrived(place, job, slot: int) -> bool:
    return any(one.slot == slot for one in attempts(place, job, "completed"))


@pytest.mark.parametrize("disguise", [lambda update: update, noisy], ids=["as it was", "with noise"])
async def test_a_copy_of_another_node_s_update_is_refused_and_its_shard_trained_elsewhere(
    place, job, add_node, bus, disguise
):
    async def copies_slot_0(node, task, hint, count):
        return node.completed(task, disguise(adapter_bytes(0)))

    honest = await add_node()
    alone = training_tasks(job, 1, job.untrained, shards=["s000"])
    (first,) = await run(place, bus, job, 1, alone, check=gate_of(place, job))
    thief = await add_node(copies_slot_0)
    outcomes = await run(place, bus, job, 1, training_tasks(job, 1, job.untrained), check=gate_of(place, job))

    assert {one.node_id for one in outcomes} == {honest.node_id}
    refused = attempts(place, job, "refused")
    assert refused
    assert {(one.node_id, one.gate) for one in refused} == {(thief.node_id, "copy")}
    manifest = place.round(job, 1).build_manifest(outcomes)
    assert [update.shard for update in manifest.updates] == ["s000", "s001", "s002", "s003"]
    assert {one.gate for one in manifest.refused} == {"copy"}
    assert {one.adapter for one in manifest.refused} == {cid_of_bytes(disguise(adapter_bytes(0)))}
    assert all("s000" in one.reason and thief.key.address not in one.reason for one in manifest.refused)
    assert first.receipt_cid in {one.receipt_cid for one in outcomes}


async def test_a_restart_in_the_middle_knows_what_had_arrived(place, job, add_node, bus):
    """The first run sees slots 0 and 1, the second a copy of slot 0 that only the first run has judged."""

    async def waits_after_two(node, task, hint, count):
        return await (completes if task.slot < 2 or restarted.is_set() else works_on)(node, task, hint, count)

    async def copies_slot_0(node, task, hint, count):
        return node.completed(task, noisy(adapter_bytes(0)))

    restarted = asyncio.Event()
    honest = await add_node(waits_after_two, capacity=4)
    dispatcher = await place.dispatcher(bus)
    tasks = training_tasks(job, 1, job.untrained)
    running = dispatcher.run(job, 1, tasks[:2], check=gate_of(place, job))
    assert {one.task.slot async for one in running} == {0, 1}

    thief = await add_node(copies_slot_0, capacity=2)
    restarted.set()
    outcomes = await run(place, bus, job, 1, tasks, check=gate_of(place, job))
    assert {one.node_id for one in outcomes} == {honest.node_id}
    assert {(one.node_id, one.gate) for one in attempts(place, job, "refused")} == {(thief.node_id, "copy")}
    assert {one.task.slot: one.adopted for one in outcomes} == {0: True, 1: True, 2: False, 3: False}


async def test_a_scaled_update_that_came_first_is_excluded_at_the_end_of_the_round(place, job, add_node, bus):
    async def scales_slot_0(node, task, hint, count):
        if task.slot == 0:
            return node.completed(task, adapter_bytes(0, scale=LARGE))
        return await (completes if arrived(place, job, 0) else works_on)(node, task, hint, count)

    await add_node(scales_slot_0)
    outcomes = await run(place, bus, job, 1, training_tasks(job, 1, job.untrained), check=gate_of(place, job))
    assert attempts(place, job, "refused") == []
    manifest = place.round(job, 1).build_manifest(outcomes)
    assert [update.shard for update in manifest.updates] == ["s001", "s002", "s003"]
    (refused,) = manifest.refused
    assert (refused.shard, refused.attempt, refused.gate) == ("s000", 1, "norm")
    assert refused.adapter == cid_of_bytes(adapter_bytes(0, scale=LARGE))
    assert "times the median" in refused.reason
    excluded = next(one for one in attempts(place, job, "completed") if one.slot == 0)
    assert (excluded.gate, excluded.reason) == ("norm", refused.reason)


async def test_a_scaled_update_is_refused_at_once_when_the_round_before_tells_the_usual_length(
    place, job, add_node, bus
):
    async def scales_slot_0(node, task, hint, count):
        return node.completed(task, adapter_bytes(task.slot, scale=LARGE if task.round == 2 and task.slot == 0 else 1))

    async def evaluates(node, task, hint, count):
        return await (scales_slot_0 if task.kind == "train" else completes)(node, task, hint, count)

    await add_node(evaluates)
    checkpoint = await train_round(place, bus, job, 1)
    place.round(job, 1).settle(checkpoint)
    tasks = place.round(job, 2).training_tasks(shards=["s000"])
    (lost,) = await run(place, bus, job, 2, tasks, check=gate_of(place, job, 2))
    assert not isinstance(lost, CompletedTask)
    assert "gate norm" in lost.reason
    assert {one.gate for one in attempts(place, job, "refused", 2)} == {"norm"}


async def test_lengths_of_different_factors_are_not_compared(place, paper_spec, add_node, bus):
    """RoLoRA trains A in one round and B in the next, whose changes may be of quite another length."""
    job = place.open(paper_spec(aggregation={"strategy": "rolora"}))

    async def longer_in_round_2(node, task, hint, count):
        if task.kind == "evaluate":
            return node.completed(task)
        frozen = job.spec.aggregation.method.frozen_factor(task.round)
        return node.completed(task, adapter_bytes(task.slot, frozen=frozen, scale=LARGE if task.round == 2 else 1))

    await add_node(longer_in_round_2)
    checkpoint = await train_round(place, bus, job, 1)
    place.round(job, 1).settle(checkpoint)
    second = get_document(place.store, await train_round(place, bus, job, 2), Checkpoint)
    assert get_document(place.store, second.manifest, RoundManifest).refused == []


async def test_what_was_excluded_while_little_was_known_counts_again(place, job, add_node, bus):
    async def grows(node, task, hint, count):
        return node.completed(task, adapter_bytes(task.slot, scale=8.0 if task.slot in (2, 3) else 1.0))

    await add_node(grows)
    outcomes = await run(place, bus, job, 1, training_tasks(job, 1, job.untrained))
    three = [one for one in outcomes if one.task.slot < 3]
    early = place.round(job, 1).build_manifest(three)
    assert [(one.shard, one.gate) for one in early.refused] == [("s002", "norm")]
    late = place.round(job, 1).build_manifest(outcomes)
    assert (len(late.updates), late.refused) == (4, [])


async def test_an_update_on_another_round_s_base_is_stale(place, job, add_node, bus):
    async def stays_behind(node, task, hint, count):
        behind = task.model_copy(update={"base": job.spec_cid})
        return node.report(task, "completed", receipt=node.completed(behind, adapter_bytes(0)).receipt)

    await add_node(stays_behind)
    tasks = training_tasks(job, 1, job.untrained, shards=["s000"])
    (lost,) = await run(place, bus, job, 1, tasks, check=gate_of(place, job))
    assert "gate stale" in lost.reason
    refused = attempts(place, job, "refused")
    assert {one.gate for one in refused} == {"stale"}
    assert all(job.spec_cid in one.reason and job.untrained in one.reason for one in refused)


def test_one_gate_may_be_asked_in_many_threads(place, job):
    """However the threads interleave, of copies exactly the first stays."""
    update = place.store.put(adapter_bytes(0))
    gate = gate_of(place, job)
    tasks = training_tasks(job, 1, job.untrained)

    def judge(task: TaskSpec):
        receipt = Receipt.model_construct(adapter=update, node=f"atlas1node{task.slot}", data=task.data)
        return gate(task, receipt)

    async def all_at_once():
        return await asyncio.gather(*(asyncio.to_thread(judge, task) for task in tasks))

    verdicts = asyncio.run(all_at_once())
    assert [verdict.gate for verdict in verdicts if verdict] == ["copy"] * 3
    assert verdicts.count(None) == 1


@pytest.mark.parametrize("codec", ["fp16", "bf16", "int8", "top-k"])
async def test_a_compressed_update_is_decoded_into_the_store(place, paper_spec, add_node, bus, codec):
    job = place.open(paper_spec(aggregation={"compression": {"codec": codec, "density": 0.5}}))
    node = await add_node()
    outcomes = await run(place, bus, job, 1, training_tasks(job, 1, job.untrained), check=gate_of(place, job))
    assert {one.result for one in outcomes} == node.encoded_only
    manifest = place.round(job, 1).build_manifest(outcomes)
    assert (len(manifest.updates), manifest.refused) == (4, [])
    assert place.round(job).aggregate(manifest).cid


async def test_an_encoded_update_that_decodes_to_another_is_refused(place, paper_spec, add_node, bus):
    job = place.open(paper_spec(aggregation={"compression": "int8"}))

    async def lies(node, task, hint, count):
        encoded = node.send(task, adapter_bytes(task.slot))["encoded"]
        claimed = node.store.put(adapter_bytes(task.slot))
        node.send = lambda task, update: {"adapter": claimed, "encoded": encoded}
        return node.completed(task)

    await add_node(lies)
    tasks = training_tasks(job, 1, job.untrained, shards=["s000"])
    (lost,) = await run(place, bus, job, 1, tasks, check=gate_of(place, job))
    assert not isinstance(lost, CompletedTask)
    (refused, *_) = attempts(place, job, "refused")
    assert refused.gate == "receipt"
    assert cid_of_bytes(adapter_bytes(0)) in refused.reason


async def test_what_is_no_encoded_update_is_refused_as_unreadable(place, paper_spec, add_node, bus):
    job = place.open(paper_spec(aggregation={"compression": "top-k"}))

    async def sends_junk(node, task, hint, count):
        junk = node.store.put(b"junk")
        node.send = lambda task, update: {"adapter": junk, "encoded": junk}
        return node.completed(task)

    await add_node(sends_junk)
    tasks = training_tasks(job, 1, job.untrained, shards=["s000"])
    await run(place, bus, job, 1, tasks, check=gate_of(place, job))
    assert {one.gate for one in attempts(place, job, "refused")} == {"readable"}


@pytest.mark.parametrize("shards", [["s000"], ["s000", "s001"]])
async def test_of_one_or_two_updates_none_is_longer_than_the_steps_can_make_it(
    place, paper_spec, add_node, bus, shards
):
    """There is no median to compare with: base + 10⁶ x noise moved the checkpoint by as much."""

    async def far_away(node, task, hint, count):
        return node.completed(task, adapter_bytes(task.slot, scale=1e6 if task.slot == 0 else 1.0))

    job = place.open(paper_spec())
    await add_node(far_away)
    tasks = training_tasks(job, 1, job.untrained, shards=shards)
    await run(place, bus, job, 1, tasks, check=gate_of(place, job))
    refused = attempts(place, job, "refused")
    assert {(one.slot, one.gate) for one in refused} == {(0, "norm")}
    assert all("move an adapter by" in one.reason for one in refused)
    assert {one.slot for one in attempts(place, job, "completed")} == {int(shard[1:]) for shard in shards} - {0}


LONG = {"steps": 3000, "learning_rate": 2.5e-4}
"""The 60 numbers of a scripted update usually move by less than 12, and never by more than 34.
As scripted, updates are about 5 long."""
LIE = 6.5
"""Makes a change more than five times as long as those, and shorter than 34."""


@pytest.fixture
def long_job(place, paper_spec, tmp_path):
    """A job of so many shards whose bound alone would let a change through that is five times an honest one."""

    def opened(shards: int, **changes):
        rows = tmp_path / f"{shards}.csv"
        labels = ("negative", "positive")
        rows.write_text("text,label\n" + "".join(f"row {n} of {shards},{labels[n % 2]}\n" for n in range(40)))
        dataset = {"source": str(rows), "labels": list(labels), "shard_by": {"rows": 40 // shards}}
        return place.open(paper_spec(dataset=dataset, training=LONG, **changes))

    return opened


def sends(lengths: dict[tuple[int, int], float]):
    """A node whose update of a round and slot is so many times as long as scripted."""

    async def behaves(node, task, hint, count):
        if task.kind == "evaluate":
            return node.completed(task)
        scale = lengths.get((task.round, task.slot), 1.0)
        return node.completed(task, adapter_bytes(task.slot, scale=scale))

    return behaves


async def play_and_start(place, bus, job):
    """Play round 1; what becomes of the tasks of round 2."""
    checkpoint = await train_round(place, bus, job, 1)
    place.round(job, 1).settle(checkpoint)
    return await run(place, bus, job, 2, place.round(job, 2).training_tasks(), check=gate_of(place, job, 2))


@pytest.mark.parametrize("shards", [1, 2])
async def test_one_or_two_updates_are_compared_with_the_round_before(place, bus, add_node, long_job, shards):
    job = long_job(shards)
    await add_node(sends({(2, 0): LIE}))
    outcomes = await play_and_start(place, bus, job)
    refused = attempts(place, job, "refused", 2)
    assert {(one.slot, one.gate) for one in refused} == {(0, "norm")}
    before = gate_of(place, job, 2)._before
    assert all(f"the shortest change of the round before was {min(before):.6g}" in one.reason for one in refused)
    assert len(before) == shards
    assert {one.task.slot for one in outcomes if isinstance(one, CompletedTask)} == set(range(1, shards))


async def test_the_end_of_a_round_compares_what_was_not_judged_at_arrival(place, bus, add_node, long_job):
    job = long_job(2)
    await add_node(sends({(2, 0): LIE}))
    await play_and_start(place, bus, job)
    outcomes = await run(place, bus, job, 2, place.round(job, 2).training_tasks())
    manifest = place.round(job, 2).build_manifest(outcomes)
    assert [update.shard for update in manifest.updates] == ["s001"]
    assert {(one.shard, one.gate) for one in manifest.refused} == {("s000", "norm")}
    again = gate_of(place, job, 2).check_all(one for one in outcomes if isinstance(one, CompletedTask))
    assert {one.reason for one in again.values()} <= {one.reason for one in manifest.refused}


async def test_a_short_lie_in_the_round_before_shuts_no_honest_update_out(place, bus, add_node, long_job):
    job = long_job(2)
    await add_node(sends({(1, 0): 1e-6, (2, 0): 0.9, (2, 1): 0.9}))
    outcomes = await play_and_start(place, bus, job)
    assert min(gate_of(place, job, 2)._before) < 1e-4
    assert attempts(place, job, "refused", 2) == []
    assert all(isinstance(one, CompletedTask) for one in outcomes)


async def test_a_long_lie_in_the_round_before_is_no_measure_for_the_next(place, bus, add_node, long_job):
    job = long_job(2)
    await add_node(sends({(1, 0): 4.0, (2, 0): 1.0 + LIE}))
    await play_and_start(place, bus, job)
    assert max(gate_of(place, job, 2)._before) > 20
    assert {(one.slot, one.gate) for one in attempts(place, job, "refused", 2)} == {(0, "norm")}


def test_what_a_codec_rounds_and_what_earlier_rounds_left_over_is_within_reach(place, paper_spec):
    for codec, number, factor in (("none", 3, 1), ("int8", 2, 2), ("top-k", 1, 2), ("top-k", 3, 6)):
        job = place.open(paper_spec(name=f"{codec}-{number}", aggregation={"compression": codec}))
        gate = RoundGate(job, number, job.untrained, place.store, place.registry)
        assert gate._codec_factor == factor
