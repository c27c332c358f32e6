"""The monthly budget of a job: its schedule and its automation share it."""

from atlas_pipelines.campaign import budget_refusal
from resources.coordinator import CoordinatorResource
from resources.jobs.retrainings import Retraining


def order_within_budget(one: Retraining, coordinator: CoordinatorResource) -> str | None:
    """Record a retraining that is about to be ordered; the reason if its month's budget does not allow it.

    If both the schedule and the automation of its job have a monthly budget, the lower one applies.
    """
    kept = (coordinator.schedules.get(one.job), coordinator.automations.get(one.job))
    limits = [found[1].monthly_budget for found in kept if found is not None]
    limit = min((one for one in limits if one is not None), default=None)
    escrowed = coordinator.retrainings.record(one, limit)
    return None if escrowed is None or limit is None else budget_refusal(one, escrowed, limit)
