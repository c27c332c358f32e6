"""The tag of a run that names the job it works on."""

from collections.abc import Mapping

from assets import partitions
from atlas.errors import SpecError

JOB_TAG = "atlas/job"
PARTITION_TAGS = ("dagster/partition", "dagster/partition/round")
"""Dagster's tags for a partition, and for the round of a partition of `shard_adapter`."""


def round_tags(key: str) -> dict[str, str]:
    """The tag that makes Dagster run one job's rounds one at a time: each starts from the previous checkpoint."""
    return {JOB_TAG: partitions.parse_round_key(key)[0]}


def job_of_run(tags: Mapping[str, str]) -> str | None:
    """The job whose round a run works on, from its tags; None for a run of something else.

    A run that was launched with a partition alone has no `JOB_TAG` until its first step begins.
    """
    if JOB_TAG in tags:
        return tags[JOB_TAG]
    for tag in PARTITION_TAGS:
        try:
            return partitions.parse_round_key(tags.get(tag, ""))[0]
        except SpecError:
            continue  # a partition of another kind, such as a job's dataset
    return None
