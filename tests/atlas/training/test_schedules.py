import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from atlas.spec.job import TrainingSpec
from atlas.training.schedules import learning_rate


def rates(**settings: object) -> list[float]:
    training = TrainingSpec.model_validate({"learning_rate": 1e-3, "steps": 10, **settings})
    return [learning_rate(step, training) for step in range(training.steps)]


def reference_rates(make_schedule: object, steps: int, warmup: int) -> list[float]:
    """The rates of transformers' own scheduler after its warm-up."""
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    schedule = make_schedule(optimizer, warmup, steps)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found[warmup:]


@pytest.mark.parametrize("warmup", [0, 3, 9])
@pytest.mark.parametrize(
    ("schedule", "reference"),
    [("linear", get_linear_schedule_with_warmup), ("cosine", get_cosine_schedule_with_warmup)],
)
def test_decay_is_that_of_transformers(schedule: str, reference: object, warmup: int) -> None:
    assert rates(schedule=schedule, warmup_steps=warmup)[warmup:] == pytest.approx(
        reference_rates(reference, 10, warmup)
    )


def test_constant_stays() -> None:
    assert rates(schedule="constant") == [1e-3] * 10


def test_warmup_rises_evenly_and_starts_above_zero() -> None:
    found = rates(schedule="constant", warmup_steps=4)
    assert found[:5] == pytest.approx([0.2e-3, 0.4e-3, 0.6e-3, 0.8e-3, 1e-3])


@given(
    steps=st.integers(1, 200),
    warmup=st.integers(0, 300),
    schedule=st.sampled_from(["constant", "linear", "cosine"]),
)
def test_every_step_has_a_positive_rate_no_higher_than_the_full_one(steps: int, warmup: int, schedule: str) -> None:
    found = rates(steps=steps, warmup_steps=warmup, schedule=schedule)
    assert all(0 < rate <= 1e-3 * (1 + 1e-12) and math.isfinite(rate) for rate in found)
    peak = min(warmup, steps - 1)
    assert found[: peak + 1] == sorted(found[: peak + 1])
    assert found[peak:] == sorted(found[peak:], reverse=True)
