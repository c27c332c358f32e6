"""A whole round against scripted nodes, step by step as the assets do it."""

from contextlib import aclosing

from resources.rounds.evaluating import evaluation_result


async def run(place, bus, job, number, tasks, **options) -> list:
    async with aclosing((await place.dispatcher(bus)).run(job, number, tasks, **options)) as running:
        return [outcome async for outcome in running]


async def train_round(place, bus, job, number) -> str:
    """Train, aggregate and evaluate a round; its checkpoint."""
    round_ = place.round(job, number)
    outcomes = await run(place, bus, job, number, round_.training_tasks(), check=round_.gate())
    checkpoint = round_.aggregate(round_.build_manifest(outcomes)).cid
    (evaluated,) = await run(place, bus, job, number, [round_.plan_evaluation(checkpoint)])
    assert evaluation_result(job, evaluated).passed
    return checkpoint
