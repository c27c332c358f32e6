"""Whole jobs of three rounds on a real chain, one for each way to aggregate that leaves its own kind of trace."""

import pytest

from atlas.aggregation.gates.schema import schema_of
from atlas.documents.manifests import Checkpoint, RoundEvidence
from atlas.documents.stored import get_document
from atlas.spec.job import JobSpec
from atlas.verification.checkpoint import verify_checkpoint
from resources.jobs.open_job import open_job
from resources.rounds.reference_update import reference_update
from tests.support.jobs.scripted_nodes import adapter_bytes, completes
from tests.support.jobs.whole_rounds import run, train_round

MIXED = {"rank": 4, "target_modules": ["query"], "shard_ranks": {"s001": 2, "s003": 1}}
JOBS = {
    "rolora": {"aggregation": {"strategy": "rolora"}},
    "outer-adam": {"aggregation": {"outer": "adam"}},
    "stack-mixed-ranks": {"aggregation": {"strategy": "stack"}, "lora": MIXED},
    "fedex": {"aggregation": {"strategy": "fedex"}},
    "compressed-krum": {"aggregation": {"robust": "multi-krum", "compression": "int8"}},
}


@pytest.mark.slow
@pytest.mark.parametrize("changes", JOBS.values(), ids=JOBS)
@pytest.mark.parametrize("scoring", ["leave-one-out", "alignment"])
async def test_three_rounds_are_trained_paid_and_recomputed(place, paper_spec, add_node, bus, changes, scoring):
    payment = {"budget": 2_000_000, "reward_per_task": 100_000, "scoring": scoring}
    job = place.open(paper_spec(rounds=3, payment=payment, **changes))
    await add_node()
    await add_node()
    for number in (1, 2, 3):
        checkpoint = await train_round(place, bus, job, number)
        settled = place.round(job, number).settle(checkpoint)
        assert (settled.settled, settled.scoring) == (True, scoring)
        evidence = get_document(place.store, settled.evidence, RoundEvidence)
        assert evidence.rejected == []
        assert all(record.score for record in evidence.records[:4])
    assert [one.round for one in verify_checkpoint(checkpoint, place.store)] == [3, 2, 1, 0]
    last = get_document(place.store, checkpoint, Checkpoint)
    aggregation = changes["aggregation"]
    assert len(last.merged) == (3 if aggregation.get("strategy") in ("stack", "fedex") else 0)
    assert (last.optimizer is not None) == ("outer" in aggregation)


class Trainer:
    """Stands for the coordinator's own training."""

    def __init__(self) -> None:
        self.tasks = []

    def train(self, task, rows, store, cache, folder):
        self.tasks.append(task)
        path = folder / "adapter.safetensors"
        path.write_bytes(adapter_bytes(task.slot))
        return path


def reference_of(place, job, number, trainer):
    return reference_update(place.round(job, number), train=trainer.train)


async def test_the_coordinator_trains_the_reference_of_a_round_once(place, paper_spec, add_node, bus):
    robust = {"rule": "fltrust", "reference_rows": 20}
    job = place.open(paper_spec(aggregation={"robust": robust}))
    await add_node(completes)
    trainer = Trainer()
    updates = []
    for number in (1, 2):
        round_ = place.round(job, number)
        updates += [reference_of(place, job, number, trainer) for _ in range(2)]
        outcomes = await run(place, bus, job, number, round_.training_tasks(), check=round_.gate())
        manifest = round_.build_manifest(outcomes, updates[-1])
        assert manifest.reference == updates[-1]
        checkpoint = round_.aggregate(manifest).cid
        round_.settle(checkpoint)
    assert [task.round for task in trainer.tasks] == [1, 2]
    assert {(task.data, task.rows, task.shard) for task in trainer.tasks} == {
        (job.dataset.reference.cid, 20, "reference")
    }
    assert [one.round for one in verify_checkpoint(checkpoint, place.store)] == [2, 1, 0]
    place.store.fetch(updates[0]).unlink()
    assert reference_of(place, job, 1, trainer) == updates[0]
    assert len(trainer.tasks) == 3


async def test_other_jobs_train_no_reference(place, paper_spec):
    job = place.open(paper_spec())
    trainer = Trainer()
    assert reference_of(place, job, 1, trainer) is None
    assert trainer.tasks == []


@pytest.mark.slow
def test_a_real_reference_is_trained_in_a_child_process(place, tiny_spec):
    settings = {"robust": {"rule": "fltrust", "reference_rows": 20}, "compression": "int8", "strategy": "ffa"}
    spec = JobSpec.load(tiny_spec(aggregation=settings, training={"steps": 2}))
    job = open_job(spec, place.home, place.store, place.registry, place.ledger)
    told = []
    update = reference_update(place.round(job), told.append)
    assert told == ["Training the reference update of round 1 on 20 rows."]
    names = schema_of(place.store.fetch(update))
    assert any(".lora_B." in name for name in names)
    assert not any(".lora_A." in name for name in names), "ffa freezes A, and what stays here is not compressed"
