"""Choose the rounds to run next. Pure: partition keys and versions in, partition keys out."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from assets.partitions import parse_round_key, round_key
from atlas.errors import SpecError

NAME_LENGTH = 48
RETRAINING = re.compile(r"-([0-9]{8}|[0-9]{12}|v[0-9a-f]{8})$")
"""The end of a retraining's name: a day, a minute, or a version of the data."""


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
    """The name of a job's retraining on a day (`20260105`), at a minute (`202601050300`), or for a version of its data
    (`v0c1d2e3f`).

    `sentiment-20260105`, cut to the length of a job's name.
    """
    return f"{job[: NAME_LENGTH - len(occasion) - 1].rstrip('-')}-{occasion}"


def orders_in_month(job: str, month: str, rounds: Collection[str], jobs: Collection[str]) -> set[str]:
    """The names of a job's retrainings at minutes of a month (`202601`), from round keys and names of jobs."""
    names = {key.rpartition("-r")[0] for key in rounds} | set(jobs)
    stem = retraining_name(job, "0" * 12)[:-12]
    return {name for name in names if re.fullmatch(f"{re.escape(stem + month)}[0-9]{{6}}", name)}


@dataclass(frozen=True)
class SourceVersion:
    """The version of its source that a job was opened with (None if not recorded), and the current version."""

    opened: str | None
    now: str


def with_new_data(versions: dict[str, SourceVersion], seen: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """The jobs whose source has changed since the last check, and the updated `seen`.

    `seen` maps each job to the version found by the last check. A job without an entry is compared with the version
    it was opened with. A source that returns to that version does not count as changed.
    """
    moved = [
        job
        for job, version in sorted(versions.items())
        if version.now not in (version.opened, seen.get(job, version.opened or version.now))
    ]
    return moved, {**seen, **{job: version.now for job, version in versions.items()}}
