"""The Dagster code location: all definitions for the UI, the daemon and the command line."""

import dagster as dg

from assets.aggregated_checkpoint import aggregated_checkpoint
from assets.base_checkpoint import base_checkpoint
from assets.checks.content import checkpoint_replicas, dataset_fresh, dataset_replicas
from assets.checks.data import dataset_teaches, held_out_apart
from assets.dataset import dataset, dataset_shard, shard_events
from assets.evaluation import evaluation
from assets.fleet_run.progress import RoundProgress
from assets.job_report import job_report
from assets.reward_settlement import reward_settlement
from assets.round_manifest import round_manifest
from assets.shard_adapter import shard_adapter
from assets.shown.graph import source_metadata, with_source
from atlas_pipelines.alerts import alert_on_check, alert_on_failure, alert_on_refusal
from atlas_pipelines.jobs import alert, federated_round, plan, prepare_dataset, start_hospitals, start_job
from atlas_pipelines.log_file import file_logger
from atlas_pipelines.retraining.job_schedules import job_schedules
from atlas_pipelines.retraining.on_events import automatic_retraining
from atlas_pipelines.retraining.weekly import weekly_retraining
from atlas_pipelines.sensors import dead_runs, next_round, report_settled_jobs, started_jobs
from resources.content import ContentResource
from resources.coordinator import CoordinatorResource
from resources.fleet import FleetResource
from resources.ledger import LedgerResource

coordinator = CoordinatorResource()

defs = dg.Definitions(
    assets=[
        dataset_shard.merge_attributes(metadata=source_metadata(shard_events)),
        *map(
            with_source,
            [
                dataset,
                base_checkpoint,
                shard_adapter,
                round_manifest,
                aggregated_checkpoint,
                evaluation,
                reward_settlement,
                job_report,
            ],
        ),
    ],
    asset_checks=[dataset_replicas, dataset_fresh, dataset_teaches, held_out_apart, checkpoint_replicas],
    jobs=[start_job, start_hospitals, federated_round, prepare_dataset, plan, alert],
    sensors=[
        started_jobs,
        next_round,
        automatic_retraining,
        report_settled_jobs,
        dead_runs,
        alert_on_failure,
        alert_on_refusal,
        alert_on_check,
    ],
    schedules=[weekly_retraining, *job_schedules(coordinator)],
    resources={
        "coordinator": coordinator,
        "fleet": FleetResource(coordinator=coordinator),
        "content": ContentResource(coordinator=coordinator),
        "ledger": LedgerResource(coordinator=coordinator),
        "progress": RoundProgress(),
    },
    loggers={"file": file_logger},
    executor=dg.in_process_executor,  # one process per run, also of selected assets: it holds the job's lock
)
