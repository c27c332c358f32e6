"""What goes wrong inside Dagster ends in one sentence: in the run's events, and where the run was started."""

import os
import signal

import dagster as dg
import pytest

from assets.plain_errors import plain_errors
from atlas.errors import AtlasError, DataError, SpecError
from atlas.unexpected import UnexpectedError
from atlas_pipelines.definitions import defs


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path))
    return tmp_path


def outcome(error: BaseException | None, make=None, kind="asset"):
    """Run an asset or a check whose function raises; the run's status, its failed steps, and what came out of it."""

    def fail():
        if make is not None:
            make()
        raise error

    @dg.asset
    @plain_errors
    def broken(context: dg.AssetExecutionContext):
        fail()

    @dg.asset_check(asset=broken)
    @plain_errors
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        fail()

    chosen = [broken] if kind == "asset" else dg.AssetSelection.checks(check)
    with dg.DagsterInstance.ephemeral() as instance:
        interrupted = None
        try:
            dg.materialize([broken, check], selection=chosen, instance=instance, raise_on_error=False)
        except BaseException as raised:
            interrupted = raised
        (run,) = instance.get_runs()
        records = instance.all_logs(run.run_id)
        failures = [one.dagster_event for one in records if one.dagster_event and one.dagster_event.is_step_failure]
        return run.status.value, failures, interrupted


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("x"), "Unexpected error: KeyError: 'x'."),
        (MemoryError(), "Unexpected error: MemoryError."),
        (RecursionError("too deep"), "Unexpected error: RecursionError: too deep."),
        (SystemExit(0), "Unexpected error: SystemExit: 0."),
        (ValueError("\x1b[2J" + "long " * 100_000), "Unexpected error: ValueError: [2Jlong long"),
        (DataError("rows.csv: no column 'text'."), "rows.csv: no column 'text'."),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("kind", ["asset", "check"])
def test_an_error_in_a_step_is_the_failures_description(home, kind, error, told):
    status, (failure, *_), _ = outcome(error, kind=kind)
    assert status == "FAILURE"
    description = failure.step_failure_data.user_failure_data.description
    assert description.startswith(told)
    assert len(description.splitlines()) == 1
    if not isinstance(error, AtlasError):
        assert description.endswith(f"The traceback is in {home / 'logs' / 'atlas.log'}.")
        assert "Traceback" in (home / "logs" / "atlas.log").read_text()


def test_a_refused_order_is_no_failed_run(home):
    status, (failure,), _ = outcome(SpecError("The name 'a' is taken."))
    assert status == "CANCELED"
    assert failure.step_failure_data.user_failure_data.description == "The name 'a' is taken."


def test_an_interrupt_leaves_a_canceled_run_and_no_chain_of_stacks(home):
    status, (failure,), interrupted = outcome(None, make=lambda: os.kill(os.getpid(), signal.SIGINT))
    assert status == "CANCELED"
    assert interrupted is None
    assert failure.step_failure_data.user_failure_data.description.startswith("The run was interrupted.")
    assert failure.step_failure_data.error.cause is None


def test_sensors_and_schedules_raise_one_sentence(home):
    @plain_errors
    def tick(context):
        raise KeyError("x")

    @plain_errors
    def steps(context):
        yield 1
        raise DataError("no rows")

    with pytest.raises(
        UnexpectedError, match=r"^Unexpected error: KeyError: 'x'\. The traceback is in .*atlas\.log\.$"
    ):
        tick(None)
    with pytest.raises(DataError, match="no rows"):
        list(steps(None))


def test_every_function_that_dagster_calls_ends_so():
    repository = defs.get_repository_def()
    operations = [
        node.op.compute_fn.decorated_fn for node in repository.assets_defs_by_key.values() if node.is_executable
    ]
    checks = [check.op.compute_fn.decorated_fn for check in repository.asset_checks_defs_by_key.values()]
    ticks = [
        getattr(sensor, "_run_status_sensor_fn", sensor._raw_fn)
        for sensor in repository.sensor_defs
        if not isinstance(sensor, dg.AutomationConditionSensorDefinition)  # its function is Dagster's
    ]
    ticks += [schedule._execution_fn.decorated_fn for schedule in repository.schedule_defs]
    assert len(operations) >= 7
    assert len(checks) >= 3
    assert len(ticks) >= 4
    for function in [*operations, *checks, *ticks]:
        assert getattr(function, "__wrapped__", None) is not None, function
