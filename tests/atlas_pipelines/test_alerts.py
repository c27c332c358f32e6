"""From a run that failed, or a check that failed, to a delivery that is retried and given up."""

import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from assets.plain_errors import plain_errors
from atlas.errors import DataError
from atlas_pipelines.alerts import alert_on_check, alert_on_failure, alert_on_refusal
from atlas_pipelines.definitions import defs
from resources.alerts.alert import Alert
from resources.coordinator import CoordinatorResource

COUNT = """
import sys
from pathlib import Path
calls = Path(sys.argv[1])
calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
sys.exit(0 if len(calls.read_text()) > int(sys.argv[2]) else "not yet")
"""

ENDS = (dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED)


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def coordinator(tmp_path):
    """A coordinator with two hooks; the second one is for failed checks only."""
    calls = tmp_path / "calls"
    hooks = [
        {"name": "bell", "kind": "command", "command": [sys.executable, "-c", COUNT, str(calls), "1"]},
        {"name": "log", "kind": "command", "command": ["true"], "events": ["check.failed"]},
    ]
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump({"hooks": hooks}))
    return CoordinatorResource(atlas_home=str(tmp_path))


def run_of(instance, name="round", passed=True, error=None, tags=None) -> dg.ExecuteInProcessResult:
    """A run of one asset whose check passes or not."""

    @dg.asset(name=name, check_specs=[dg.AssetCheckSpec("quorum", asset=name)])
    @plain_errors
    def made(context: dg.AssetExecutionContext):
        yield dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(check_name="quorum", passed=passed, description=None if passed else "1 of 4.")
            ]
        )
        if error is not None:
            raise error

    return dg.materialize([made], instance=instance, raise_on_error=False, tags=tags)


def requests(sensor, result, instance, coordinator) -> list[dg.RunRequest]:
    """What a sensor asks for after a run that ended."""
    event = next(one for one in reversed(result.all_events) if one.event_type in ENDS)
    built = dg.build_run_status_sensor_context(
        sensor_name=sensor.name,
        dagster_instance=instance,
        dagster_run=instance.get_run_by_id(result.run_id),
        dagster_event=event,
        resources={"coordinator": coordinator},
    )
    with built as context:
        found = sensor(context)
    return [] if found is None else found.run_requests


def alert_in(request: dg.RunRequest) -> Alert:
    return Alert.model_validate_json(request.run_config["ops"]["send_alert"]["config"]["alert"])


def deliver(request: dg.RunRequest, instance, coordinator) -> dg.ExecuteInProcessResult:
    """Run the job `alert` as the daemon would, without its pauses."""
    (config,) = [one["config"] for one in request.run_config["ops"].values()]
    return defs.resolve_job_def("alert").execute_in_process(
        instance=instance,
        run_config={"ops": {"send_alert": {"config": {**config, "retry_seconds": [0, 0]}}}},
        resources={"coordinator": coordinator},
        raise_on_error=False,
    )


def test_a_failed_run_is_reported_once_to_each_hook_that_wants_it(instance, coordinator):
    tags = {"atlas/job": "a", "dagster/partition": "a-r0002"}
    result = run_of(instance, passed=False, error=DataError("no rows"), tags=tags)
    (request,) = requests(alert_on_failure, result, instance, coordinator)
    assert request.run_key == f"{result.run_id}/bell"
    alert = alert_in(request)
    assert (alert.event, alert.text, alert.job, alert.partition) == ("run.failed", "no rows", "a", "a-r0002")
    assert [(one.check, one.severity, one.description) for one in alert.checks] == [("quorum", "ERROR", "1 of 4.")]
    assert alert.at == instance.get_run_record_by_id(result.run_id).end_time


def test_a_failed_check_of_a_run_that_succeeded_is_reported(instance, coordinator):
    result = run_of(instance, passed=False)
    found = requests(alert_on_check, result, instance, coordinator)
    assert [one.run_key.split("/")[1] for one in found] == ["bell", "log"]
    assert (alert_in(found[0]).event, alert_in(found[0]).text) == ("check.failed", "1 of 4.")
    assert requests(alert_on_check, run_of(instance), instance, coordinator) == []


def test_a_refusal_is_reported_if_no_person_launched_the_run(instance, coordinator):
    @dg.asset
    @plain_errors
    def refused(context: dg.AssetExecutionContext):
        raise DataError("too dear")

    def canceled(tags):
        result = dg.materialize([refused], instance=instance, raise_on_error=False, tags=tags)
        instance.report_run_canceled(instance.get_run_by_id(result.run_id))
        return result

    (request,) = requests(alert_on_refusal, canceled({"dagster/schedule_name": "s"}), instance, coordinator)
    assert (alert_in(request).event, alert_in(request).text) == ("run.refused", "too dear")
    assert requests(alert_on_refusal, canceled({}), instance, coordinator) == []


def test_a_run_that_the_daemon_continues_is_not_reported(instance, coordinator):
    result = run_of(instance, error=DataError("no rows"))
    instance.add_run_tags(result.run_id, {"dagster/will_retry": "true"})
    assert requests(alert_on_failure, result, instance, coordinator) == []


def test_a_delivery_is_repeated_until_the_hook_takes_it(instance, coordinator, tmp_path):
    (request,) = requests(alert_on_failure, run_of(instance, error=DataError("x")), instance, coordinator)
    assert deliver(request, instance, coordinator).success
    assert (tmp_path / "calls").read_text() == "xx"


def test_a_delivery_is_given_up_and_its_failure_is_not_reported_in_turn(instance, coordinator, tmp_path):
    settings = Path(coordinator.atlas_home) / "settings.yaml"
    settings.write_text(settings.read_text().replace("'1'", "'99'"))
    (request,) = requests(alert_on_failure, run_of(instance, error=DataError("x")), instance, coordinator)
    result = deliver(request, instance, coordinator)
    assert not result.success
    assert (tmp_path / "calls").read_text() == "xxx"
    (event,) = result.get_step_failure_events()
    assert event.step_failure_data.user_failure_data.description == (
        "The command of hook 'bell' ended with exit code 1: not yet Given up after 3 attempts."
    )
    assert requests(alert_on_failure, result, instance, coordinator) == []


def test_without_hooks_nothing_is_launched(instance, tmp_path):
    coordinator = CoordinatorResource(atlas_home=str(tmp_path / "empty"))
    assert requests(alert_on_failure, run_of(instance, error=DataError("x")), instance, coordinator) == []
