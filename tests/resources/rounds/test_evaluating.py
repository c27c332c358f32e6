"""Which checkpoints an evaluation judges: the round's and its base, then the rivals that are cheap to judge."""

import pytest

from atlas.aggregation.robust.settings import RobustSpec
from atlas.documents.manifests import Checkpoint
from atlas.documents.stored import get_document, put_document
from resources.jobs.registry import Attempt
from resources.reports.summary import summarize
from resources.rounds.evaluating import plain_mean_of, recorded_verdict
from resources.rounds.scoring import manifest_of
from resources.rounds.tasks import evaluation_task, training_tasks
from tests.support.jobs.whole_rounds import run, train_round

NO_RULE = RobustSpec(rule="none")


async def trained(place, bus, add_node, spec) -> tuple:
    """A job with one aggregated round, its checkpoint, and the checkpoints without one update each."""
    job = place.open(spec)
    await add_node()
    await add_node()
    outcomes = await run(place, bus, job, 1, training_tasks(job, 1, job.untrained))
    manifest = place.round(job, 1).build_manifest(outcomes)
    checkpoint = place.round(job).aggregate(manifest).cid
    return job, checkpoint, place.round(job).checkpoints_without(checkpoint)


@pytest.mark.parametrize("scoring", ["leave-one-out", "none"])
async def test_what_plain_averaging_gives_is_the_last_rival(place, paper_spec, add_node, bus, scoring):
    payment = {"budget": 1_000_000, "reward_per_task": 100_000, "scoring": scoring}
    robust = {"rule": "median"}
    job, checkpoint, without = await trained(
        place, bus, add_node, paper_spec(aggregation={"robust": robust}, payment=payment)
    )
    task = place.round(job).plan_evaluation(checkpoint)
    assert task.checkpoints[:-1] == [job.untrained, checkpoint, *without.values()]
    mean = get_document(place.store, task.checkpoints[-1], Checkpoint)
    assert plain_mean_of(task, place.store) == task.checkpoints[-1]
    assert task.sample_rows == (500 if without else 250)

    plain = job.spec.model_copy(update={"aggregation": job.spec.aggregation.model_copy(update={"robust": NO_RULE})})
    spec = put_document(place.store, plain)
    manifest = manifest_of(checkpoint, place.store)
    start = get_document(place.store, job.untrained, Checkpoint).model_copy(update={"job": spec})
    twin = manifest.model_copy(update={"job": spec, "base": put_document(place.store, start)})
    expected = place.round(job).aggregate(twin)
    assert mean.adapter == expected.adapter
    assert mean.adapter != get_document(place.store, checkpoint, Checkpoint).adapter


async def test_a_job_without_a_rule_has_no_such_rival(place, paper_spec, add_node, bus):
    job, checkpoint, without = await trained(place, bus, add_node, paper_spec(aggregation={"robust": "none"}))
    task = place.round(job).plan_evaluation(checkpoint)
    assert task == evaluation_task(job, 1, job.untrained, checkpoint, without)
    assert plain_mean_of(task, place.store) is None


async def test_an_evaluation_that_was_given_out_keeps_its_rivals(place, paper_spec, add_node, bus):
    robust = {"rule": "median"}
    job, checkpoint, without = await trained(place, bus, add_node, paper_spec(aggregation={"robust": robust}))
    earlier = evaluation_task(job, 1, job.untrained, checkpoint, without)
    second = put_document(place.store, earlier.model_copy(update={"attempt": 2}))
    place.registry.record_assigned(job.round(1), Attempt(4, 2, earlier.task_id, second, node_id=1))
    task = place.round(job).plan_evaluation(checkpoint)
    assert task == earlier
    another = without["s000"]
    assert place.round(job).plan_evaluation(another).checkpoints[1] == another


async def test_the_summary_tells_what_plain_averaging_gave(place, paper_spec, add_node, bus):
    robust = {"rule": "median"}
    job = place.open(paper_spec(rounds=1, aggregation={"robust": robust}))
    await add_node()
    checkpoint = await train_round(place, bus, job, 1)
    place.round(job, 1).settle(checkpoint)
    [round_] = summarize(job, place.registry, place.store, place.ledger).rounds
    assert (round_.worse, round_.plain_mean["reference_loss"]) == ("", 0.5)
    assert round_.plain_mean["loss"] == pytest.approx(0.9)


async def test_a_round_keeps_the_verdict_of_its_evaluation(place, paper_spec, add_node, bus):
    job = place.open(paper_spec(rounds=2))
    await add_node()
    checkpoint = await train_round(place, bus, job, 1)
    verdict = recorded_verdict(checkpoint, job.round(1), place.registry, place.store)
    assert verdict is not None
    assert not verdict.failed
    assert recorded_verdict(job.untrained, job.round(1), place.registry, place.store) is None
    assert recorded_verdict(checkpoint, job.round(2), place.registry, place.store) is None
