"""Choose the rounds to run next, and the jobs to order again. Pure."""

import datetime as dt
import re
from collections.abc import Collection, Sequence

from assets.partitions import parse_round_key, round_key
from atlas.data.fingerprint import short_version as short_hash
from atlas.errors import SpecError
from resources.jobs.retrainings import Retraining

NAME_LENGTH = 48
RETRAINING = re.compile(r"-([0-9]{8}|[0-9]{12}|v[0-9a-f]{8})$")
"""The end of a retraining's name: a day, a minute, or the hash of its causes."""


def rounds_of_jobs(rounds: Collection[str], jobs: Collection[str]) -> dict[str, list[int]]:
    """The numbers of each opened job's rounds, in order. Keys that do not name a round of an opened job are skipped."""
    numbers: dict[str, list[int]] = {job: [] for job in sorted(jobs)}
    for key in sorted(rounds):
        try:
            job, number = parse_round_key(key)
        except SpecError:
            continue  # users can add arbitrary keys in the UI
        if job in numbers:
            numbers[job].append(number)
    return numbers


def next_rounds(
    rounds: Collection[str], jobs: Collection[str], settled: Collection[str], busy: Collection[str]
) -> list[str]:
    """The first unsettled round of each opened job without a run in progress.

    `rounds` and `settled` are round keys, `jobs` and `busy` names of jobs.
    """
    chosen = []
    for job, numbers in rounds_of_jobs(rounds, jobs).items():
        unsettled = [key for number in numbers if (key := round_key(job, number)) not in settled]
        if unsettled and job not in busy:
            chosen.append(unsettled[0])
    return chosen


def finished_jobs(
    rounds: Collection[str], jobs: Collection[str], settled: Collection[str], retrainings: bool = False
) -> dict[str, int]:
    """Each opened job whose rounds are all settled, with their number.

    Jobs with the name of a retraining are left out, unless `retrainings` is set.
    """
    return {
        job: len(numbers)
        for job, numbers in rounds_of_jobs(rounds, jobs).items()
        if numbers
        and (retrainings or not RETRAINING.search(job))
        and all(round_key(job, number) in settled for number in numbers)
    }


def retraining_name(job: str, occasion: str) -> str:
    """The name of a job's retraining on a day (`20260105`), at a minute (`202601050300`), or for a cause (`v0c1d2e3f`).

    `sentiment-20260105`. A job's name that is too long is cut, and gets eight hex digits of its hash, because the
    names of other jobs may begin in the same way.
    """
    room = NAME_LENGTH - len(occasion) - 1
    if len(job) > room:
        digits = short_hash(job)
        job = f"{job[: room - len(digits) - 1].rstrip('-')}-{digits}"
    return f"{job}-{occasion}"


def name_for_causes(job: str, causes: Sequence[str]) -> str:
    """The name of the retraining that has these causes."""
    return retraining_name(job, f"v{short_hash(' '.join(causes))}")


def order_for(job: str, causes: Sequence[str], orders: Sequence[Retraining], launched: Collection[str]) -> str | None:
    """The name of the retraining to order for these causes; None if each of them had one already.

    `orders` are the job's recorded retrainings, `launched` those of them that have runs or are open. An order that was
    recorded for one of the causes, but not launched because the process was killed, is returned again.
    """
    for one in orders:
        if one.name not in launched and set(one.causes) & set(causes):
            return one.name
    ordered = {cause for one in orders for cause in one.causes}
    new = [cause for cause in causes if cause not in ordered]
    return name_for_causes(job, new) if new else None


def budget_refusal(one: Retraining, escrowed: int, limit: int) -> str:
    """The reason why a retraining is not ordered: its month's orders escrow so many of `limit` micro-units already."""
    first_day = dt.date(int(one.month[:4]), int(one.month[4:]), 1)
    return (
        f"The orders of {first_day:%B %Y} have escrowed {escrowed} micro-units; with "
        f"{one.budget} more they would exceed the monthly budget of {limit}. Raise it with: atlas job schedule "
        f"{one.job} --monthly-budget N"
    )
