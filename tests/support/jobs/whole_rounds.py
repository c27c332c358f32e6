"""A whole round against scripted nodes, step by step as the assets do it."""

from contextlib import aclosing

from resources.rounds.evaluating import plan_evaluation
from resources.rounds.round_gate import RoundGate
from resources.rounds.scoring import checkpoints_without
from resources.rounds.steps import (
    aggregate,
    base_checkpoint,
    build_round_manifest,
    evaluation_result,
    training_tasks,
)


async def run(place, bus, job, number, tasks, **options) -> list:
    async with aclosing((await place.dispatcher(bus)).run(job, number, tasks, **options)) as running:
        return [outcome async for outcome in running]


async def train_round(place, bus, job, number) -> str:
    """Train, aggregate and evaluate a round; its checkpoint."""
    base = base_checkpoint(job, number, place.ledger)
    tasks = training_tasks(job, number, base)
    gate = RoundGate(job, number, base, place.store, place.registry)
    outcomes = await run(place, bus, job, number, tasks, check=gate)
    manifest = build_round_manifest(job, number, base, outcomes, place.store, place.registry)
    checkpoint = aggregate(manifest, place.store)
    without = checkpoints_without(job, checkpoint, place.store)
    task = plan_evaluation(job, number, base, checkpoint, without, place.store, place.registry)
    (evaluated,) = await run(place, bus, job, number, [task])
    assert evaluation_result(job, evaluated).passed
    return checkpoint
