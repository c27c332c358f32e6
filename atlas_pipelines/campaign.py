"""Which rounds to run next. Pure: partition keys in, partition keys out."""

import re
from collections.abc import Collection

from assets.partitions import parse_round_key, round_key
from atlas.errors import SpecError

NAME_LENGTH = 48
RETRAINING = re.compile(r"-\d{8}$")


def rounds_of_jobs(rounds: Collection[str], jobs: Collection[str]) -> dict[str, list[int]]:
    """The numbers of each opened job's rounds, in order; keys that somebody typed in and name no job are left out."""
    numbers: dict[str, list[int]] = {job: [] for job in sorted(jobs)}
    for key in sorted(rounds):
        try:
            job, number = parse_round_key(key)
        except SpecError:
            continue  # the UI lets anybody add any key
        if job in numbers:
            numbers[job].append(number)
    return numbers


def next_rounds(
    rounds: Collection[str], jobs: Collection[str], settled: Collection[str], busy: Collection[str]
) -> list[str]:
    """The first unsettled round of each opened job that no run is working for.

    `rounds` and `settled` are round keys, `jobs` and `busy` names of jobs.
    """
    chosen = []
    for job, numbers in rounds_of_jobs(rounds, jobs).items():
        unsettled = [key for number in numbers if (key := round_key(job, number)) not in settled]
        if unsettled and job not in busy:
            chosen.append(unsettled[0])
    return chosen


def finished_jobs(rounds: Collection[str], jobs: Collection[str], settled: Collection[str]) -> dict[str, int]:
    """Each opened job whose rounds are all settled, with their number. Retrainings of another job are left out."""
    return {
        job: len(numbers)
        for job, numbers in rounds_of_jobs(rounds, jobs).items()
        if numbers and not RETRAINING.search(job) and all(round_key(job, number) in settled for number in numbers)
    }


def retraining_name(job: str, day: str) -> str:
    """The name of a job's retraining on a day (`20260105`): `sentiment-20260105`, cut to the length of a job's name."""
    return f"{job[: NAME_LENGTH - len(day) - 1].rstrip('-')}-{day}"
