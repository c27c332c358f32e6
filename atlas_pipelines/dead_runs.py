"""Runs whose process was killed. Dagster would show them as running, and keep later runs of their job waiting."""

import dagster as dg

from assets.fleet_run.run_process import PROCESS_TAG, has_died

AT_WORK = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def fail_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Report each run as failed whose process no longer exists on this machine; return the ids of these runs."""
    runs = instance.get_runs(dg.RunsFilter(statuses=AT_WORK))
    dead = [run for run in runs if has_died(run.run_id, run.tags.get(PROCESS_TAG, ""))]
    for run in dead:
        instance.report_run_failed(run, "The process of this run was killed. Launch the round again to continue it.")
    return [run.run_id for run in dead]
