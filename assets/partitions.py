"""Partitions of the assets: by job, by round of a job, by shard of a job's dataset, and by round and shard."""

import re

import dagster as dg

from atlas.errors import SpecError

JOBS, ROUNDS, SHARDS = "job", "round", "shard"

jobs = dg.DynamicPartitionsDefinition(name=JOBS)
rounds = dg.DynamicPartitionsDefinition(name=ROUNDS)
shards = dg.DynamicPartitionsDefinition(name=SHARDS)
round_shards = dg.MultiPartitionsDefinition({ROUNDS: rounds, SHARDS: shards})


def round_key(job: str, number: int) -> str:
    """The partition key of one round: `sentiment-r0001`. Keys of a job sort in the order of its rounds."""
    return f"{job}-r{number:04d}"


def shard_key(job: str, shard: str) -> str:
    """The partition key of one shard (`s000`, …) of a job's dataset: `sentiment-s000`."""
    return f"{job}-{shard}"


def round_shard_key(job: str, number: int, shard: str) -> dg.MultiPartitionKey:
    """The partition key of one shard's adapter in one round."""
    return dg.MultiPartitionKey({ROUNDS: round_key(job, number), SHARDS: shard_key(job, shard)})


def parse_round_key(key: str) -> tuple[str, int]:
    """The job's name and the round's number (from 1). Raises `SpecError` when the key is not a round's."""
    match = re.fullmatch(r"(?P<job>[a-z0-9-]+)-r(?P<number>[0-9]{4})", key)
    if match is None or int(match["number"]) == 0:
        raise SpecError(f"The partition {key!r} is not a round. A round is named JOB-rNNNN, such as sentiment-r0001.")
    return match["job"], int(match["number"])


def parse_shard_key(key: str) -> tuple[str, str]:
    """The job's name and the shard's key in its manifest (`s000`). Raises `SpecError` when the key is not a shard's."""
    match = re.fullmatch(r"(?P<job>[a-z0-9-]+)-(?P<shard>s[0-9]{3,})", key)
    if match is None:
        raise SpecError(f"The partition {key!r} is not a shard. A shard is named JOB-sNNN, such as sentiment-s000.")
    return match["job"], match["shard"]
