import re

from hypothesis import given
from hypothesis import strategies as st

from assets.partitions import parse_round_key, round_key
from atlas.spec.job import JobSpec
from atlas_pipelines.campaign import RETRAINING, finished_jobs, name_for_causes, next_rounds, order_for, retraining_name
from resources.jobs.retrainings import Retraining

JOBS = st.sets(st.sampled_from(["a", "b", "c", "d-20260105"]))
NAME = next(part.pattern for part in JobSpec.model_fields["name"].metadata if hasattr(part, "pattern"))


@st.composite
def campaigns(draw):
    lengths = {job: draw(st.integers(1, 4)) for job in draw(JOBS)}
    rounds = {round_key(job, number) for job, length in lengths.items() for number in range(1, length + 1)}
    settled = draw(st.sets(st.sampled_from(sorted(rounds)))) if rounds else set()
    return rounds, set(lengths), settled


@given(campaigns(), JOBS)
def test_each_idle_job_goes_on_with_its_first_unsettled_round(campaign, busy):
    rounds, jobs, settled = campaign
    chosen = next_rounds(rounds, jobs, settled, busy)

    by_job = {parse_round_key(key)[0]: key for key in chosen}
    assert len(by_job) == len(chosen), "one round of a job at a time"
    for job in jobs:
        left = sorted(key for key in rounds - settled if parse_round_key(key)[0] == job)
        assert by_job.get(job) == (left[0] if left and job not in busy else None)


@given(campaigns())
def test_a_job_is_finished_or_has_a_next_round(campaign):
    rounds, jobs, settled = campaign
    going = {parse_round_key(key)[0] for key in next_rounds(rounds, jobs, settled, busy=set())}
    finished = finished_jobs(rounds, jobs, settled)
    assert going.isdisjoint(finished)
    assert going | set(finished) == jobs - ({"d-20260105"} - going)


def test_a_key_that_somebody_typed_in_starts_nothing():
    assert next_rounds({"r0001", "demo-r0001", "x"}, {"sentiment"}, set(), set()) == []


def test_a_retraining_is_not_trained_again():
    assert finished_jobs({"a-20260105-r0001"}, {"a-20260105"}, {"a-20260105-r0001"}) == {}
    assert finished_jobs({"a-20260105-r0001"}, {"a-20260105"}, {"a-20260105-r0001"}, True) == {"a-20260105": 1}


@given(st.from_regex(NAME, fullmatch=True))
def test_a_retraining_has_a_name_that_a_job_may_have(job):
    name = retraining_name(job, "20260105")
    assert re.fullmatch(NAME, name)
    assert name.endswith("-20260105")


@given(st.sets(st.from_regex(NAME, fullmatch=True), min_size=2))
def test_the_retrainings_of_two_jobs_have_two_names(jobs):
    longer = {f"{'x' * 40}{job}"[:48].rstrip("-") for job in jobs}
    assert len({retraining_name(job, "202601050300") for job in longer}) == len(longer)


def test_a_name_that_is_not_too_long_is_kept_whole():
    assert retraining_name("x" * 35, "202601050300") == f"{'x' * 35}-202601050300"
    assert re.fullmatch("x{26}-[0-9a-f]{8}-202601050300", retraining_name("x" * 36, "202601050300"))


def test_each_cause_gives_one_order_and_one_that_was_not_launched_is_given_again():
    (first, second) = name_for_causes("a", ["one"]), name_for_causes("a", ["two"])
    assert RETRAINING.search(first)
    recorded = [Retraining(first, "a", ["one"])]
    assert order_for("a", ["one"], [], []) == first
    assert order_for("a", ["one"], recorded, []) == first
    assert order_for("a", ["one"], recorded, [first]) is None
    assert order_for("a", ["one", "two"], recorded, [first]) == second != first
    assert order_for("a", [], recorded, []) is None
