"""Sensors that launch an alert for each hook when a run fails or is refused, or a check of it fails."""

import dagster as dg
import rfc8785

from assets.ops.alert import AlertConfig
from assets.plain_errors import plain_errors
from assets.recorded.failed_checks import failed_checks
from assets.recorded.run_tags import PARTITION_TAGS, job_of_run
from atlas_pipelines.jobs import alert
from resources.alerts.alert import Alert, Event, FailedCheck
from resources.alerts.settings import read_operator_settings
from resources.coordinator import CoordinatorResource

UNATTENDED_TAGS = ("dagster/schedule_name", "dagster/sensor_name")
CONTINUES_TAG = "dagster/will_retry"


def _sensor(name: str, status: dg.DagsterRunStatus, event: Event, description: str) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        status,
        name=name,
        request_job=alert,
        minimum_interval_seconds=15,
        monitor_all_code_locations=True,  # without it, the runs of `atlas run` and `dagster job execute` are left out
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"{description} The hooks are in $ATLAS_HOME/settings.yaml; without any, it does nothing.",
    )
    @plain_errors
    def sensor(context: dg.RunStatusSensorContext, coordinator: CoordinatorResource) -> dg.SensorResult | None:
        """One run request per hook; None makes Dagster look at the next run in the same tick."""
        found = alert_of(context.dagster_run, event, context.instance)
        if found is None:
            return None
        text = rfc8785.dumps(found.model_dump(mode="json")).decode()
        requests = []
        for hook in read_operator_settings(coordinator.home.settings).hooks:
            if event in hook.events:
                config = dg.RunConfig(ops={"send_alert": AlertConfig(hook=hook.name, alert=text)})
                requests.append(dg.RunRequest(run_key=f"{found.run}/{hook.name}", run_config=config))
        return dg.SensorResult(requests) if requests else None

    return sensor


alert_on_failure = _sensor(
    "alert_on_failure",
    dg.DagsterRunStatus.FAILURE,
    "run.failed",
    "Calls the operator's hooks when a run has failed.",
)
alert_on_refusal = _sensor(
    "alert_on_refusal",
    dg.DagsterRunStatus.CANCELED,
    "run.refused",
    "Calls the operator's hooks when a run that a schedule or sensor launched was refused or interrupted.",
)
alert_on_check = _sensor(
    "alert_on_check",
    dg.DagsterRunStatus.SUCCESS,
    "check.failed",
    "Calls the operator's hooks when a run has ended and one of its checks has failed.",
)


def alert_of(run: dg.DagsterRun, event: Event, instance: dg.DagsterInstance) -> Alert | None:
    """The alert about a run that has ended; None when there is nothing to report.

    An alert's own run is not reported, nor a failed run that the daemon launches again, nor a canceled run that a
    person launched.
    """
    if run.job_name == alert.name or run.tags.get(CONTINUES_TAG) == "true":
        return None
    if event == "run.refused" and not any(tag in run.tags for tag in UNATTENDED_TAGS):
        return None
    checks = _failed_checks(run, instance)
    if event == "check.failed" and not checks:
        return None
    record = instance.get_run_record_by_id(run.run_id)
    return Alert(
        event=event,
        run=run.run_id,
        dagster_job=run.job_name,
        partition=run.tags.get(PARTITION_TAGS[0]),
        job=job_of_run(run.tags),
        at=(record.end_time if record else None) or 0.0,
        text=_reason(run, instance) or "; ".join(check.description for check in checks) or "No reason is recorded.",
        checks=checks,
    )


def _failed_checks(run: dg.DagsterRun, instance: dg.DagsterInstance) -> list[FailedCheck]:
    entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    return failed_checks(entry.dagster_event.asset_check_evaluation_data for entry in entries if entry.dagster_event)


def _reason(run: dg.DagsterRun, instance: dg.DagsterInstance) -> str:
    """The sentence of the first failed step; without one, that of the run's failure."""
    steps = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    for entry in steps:
        event = entry.dagster_event
        data = event.step_failure_data.user_failure_data if event else None
        if data is not None and data.description:
            return data.description
    ends = [*steps, *instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)]
    return next((event.message for entry in ends if (event := entry.dagster_event) and event.message), "")
