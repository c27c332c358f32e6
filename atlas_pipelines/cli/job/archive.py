"""`atlas job archive`: remove the partitions of a finished job from Dagster's lists."""

import os
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated

import typer

from atlas.documents.manifests import DatasetManifest
from atlas.documents.stored import get_document
from atlas.home import AtlasHome
from atlas.spec.job import JobSpec
from atlas.terminal.json_output import print_json
from atlas_pipelines.cli.content.open import open_content
from atlas_pipelines.cli.job.on_chain import job_on_chain
from atlas_pipelines.cli.output import results_console
from atlas_pipelines.dagster_home import prepare_dagster_home
from resources.errors import CoordinatorError, JobNotFound
from resources.jobs.registry import JobRegistry

if TYPE_CHECKING:
    from dagster import DagsterInstance


def archive(
    name: Annotated[str, typer.Argument(help="The job's name.")],
    undo: Annotated[bool, typer.Option("--undo", help="Put the partitions back.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Remove the partitions of a finished job from Dagster's lists; long lists make its pages slow.

    Its runs, results, checkpoints and payments stay, and `atlas job show`, `atlas verify` and exports work as before.
    Dagster's sensors and schedules ignore the job from then on.
    """
    import dagster as dg

    from assets.partitions import ROUNDS, SHARDS
    from atlas_pipelines.execution import open_instance

    home = AtlasHome.from_environment()
    keys = partitions_of(name, home)
    with open_instance(prepare_dagster_home(home, os.environ)) as instance:
        if undo:
            for definition, wanted in keys.items():
                instance.add_dynamic_partitions(definition, wanted)
        else:
            settled = instance.get_materialized_partitions(dg.AssetKey("reward_settlement"))
            _refuse_unfinished(name, keys[ROUNDS], settled)
            _remove(keys, instance)
    rounds, shards = len(keys[ROUNDS]), len(keys[SHARDS])
    if json:
        print_json({"job": name, "archived": not undo, "rounds": rounds, "shards": shards})
        return
    how = "are listed again" if undo else "are no longer listed"
    results_console().print(f"{rounds} rounds and {shards} shards of job {name} {how} in Dagster.")


def partitions_of(name: str, home: AtlasHome) -> dict[str, list[str]]:
    """The partition keys of a job, by the name of their definition; raises `JobNotFound`."""
    from assets.partitions import JOBS, ROUNDS, SHARDS, round_key, shard_key

    row, store = JobRegistry(home.jobs_database).job(name), open_content(home)
    if row is None:
        raise JobNotFound(f"No job {name!r} was opened here. List the jobs with: atlas job ls")
    spec = get_document(store, row.spec_cid, JobSpec)
    dataset = get_document(store, row.dataset_cid, DatasetManifest)
    return {
        JOBS: [name],
        ROUNDS: [round_key(name, number) for number in range(1, spec.rounds + 1)],
        SHARDS: [shard_key(name, shard.key) for shard in dataset.shards],
    }


def _refuse_unfinished(name: str, rounds: list[str], settled: Collection[str]) -> None:
    """Raise `CoordinatorError` for a job that can go on: one with an unsettled round that is open on chain."""
    left = [key for key in rounds if key not in settled]
    if not left:
        return
    with job_on_chain(name) as (row, ledger):
        state = ledger.job(row.job_id).state
    if state == "open":
        raise CoordinatorError(
            f"Job {name!r} is not finished: {left[0]} is not settled. Finish it with `atlas run`, or end it with "
            f"`atlas job cancel {name}`, then archive it."
        )


def _remove(keys: dict[str, list[str]], instance: "DagsterInstance") -> None:
    for definition, unwanted in keys.items():
        for key in sorted(set(unwanted) & set(instance.get_dynamic_partitions(definition))):
            instance.delete_dynamic_partition(definition, key)
