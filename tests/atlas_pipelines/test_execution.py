"""A round that cannot go on raises one plain error, whatever Dagster makes of it, and leaves the right kind of run."""

import os
import signal

import dagster as dg
import psutil
import pytest

from assets import partitions
from assets.fleet_run.progress import RoundProgress
from assets.launch.launch_config import LaunchConfig
from assets.plain_errors import plain_errors
from atlas.errors import DataError, SpecError
from atlas.unexpected import UnexpectedError, traceback_text
from atlas_pipelines.execution import RoundFailed, execute_round, open_instance
from atlas_pipelines.log_file import file_logger

KEY = "tiny-r0001"


@pytest.fixture
def fails(tmp_path, monkeypatch):
    """Execute a round whose only step, or its resource, does what it is given; the error, and the run's status."""
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path))

    def run(step=lambda: None, resource=lambda: None, guard=plain_errors, opened=dg.DagsterInstance.ephemeral):
        @dg.asset(partitions_def=partitions.rounds)
        @guard
        def base_checkpoint(context: dg.AssetExecutionContext, config: LaunchConfig, fleet: dg.ResourceParam[object]):
            step()

        @dg.resource
        def fleet(context):
            resource()

        definitions = dg.Definitions(
            assets=[base_checkpoint],
            jobs=[dg.define_asset_job("federated_round", selection=["base_checkpoint"])],
            resources={"fleet": fleet, "progress": dg.ResourceDefinition.hardcoded_resource(RoundProgress())},
            loggers={"file": file_logger},
        )
        monkeypatch.setattr("atlas_pipelines.execution.defs", definitions)
        with opened() as instance:
            with pytest.raises(BaseException) as raised:
                execute_round(instance, KEY, LaunchConfig(), RoundProgress(), tmp_path / "logs" / f"{KEY}.log")
            (record,) = instance.get_runs()
            return raised.value, record.status.value

    run.log = tmp_path / "logs" / f"{KEY}.log"
    return run


def raises(error):
    def fail():
        raise error

    return fail


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    "error",
    [OverflowError("date value out of range"), KeyError("x"), SystemExit(0), RecursionError(), ValueError("")],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("guard", [plain_errors, lambda function: function], ids=["guarded", "unguarded"])
def test_an_unforeseen_error_is_one_sentence_and_its_traceback_can_be_written(fails, error, guard):
    raised, status = fails(raises(error), guard=guard)
    assert isinstance(raised, UnexpectedError)
    assert type(error).__name__ in str(raised)
    assert raised.log.exists()
    assert status == "FAILURE"
    assert len(traceback_text(raised)) < 200_000


def test_an_error_in_a_resource_is_one_sentence_too(fails):
    raised, status = fails(resource=raises(OverflowError("date value out of range")))
    assert isinstance(raised, UnexpectedError)
    assert "OverflowError: date value out of range" in str(raised)
    assert status == "FAILURE"
    raised, _ = fails(resource=raises(DataError("no network")))
    assert (type(raised), str(raised)) == (DataError, "no network")


def test_a_foreseen_error_is_raised_as_it_is(fails):
    raised, status = fails(raises(DataError("no rows")))
    assert (type(raised), str(raised), status) == (DataError, "no rows", "FAILURE")
    assert "no rows" in fails.log.read_text()
    raised, status = fails(raises(SpecError("taken")))
    assert (type(raised), str(raised), status) == (SpecError, "taken", "CANCELED")
    raised, _ = fails(raises(dg.Failure("on purpose.")))
    assert isinstance(raised, RoundFailed)
    assert str(raised) == f"Round {KEY} failed: on purpose. Its log is {fails.log}."


def test_an_interrupt_within_a_step_or_before_it_leaves_a_canceled_run(fails):
    for place in (
        {"step": interrupt},
        {"resource": interrupt},
        {"step": interrupt, "guard": lambda function: function},
    ):
        raised, status = fails(**place)
        assert isinstance(raised, KeyboardInterrupt)
        assert status == "CANCELED"


def test_ctrl_c_in_a_terminal_reaches_no_child_of_dagster(fails, tmp_path):
    children = []
    others = psutil.Process().children(recursive=True)

    def step():
        children.extend(one for one in psutil.Process().children(recursive=True) if one not in others)
        raise DataError("enough")

    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    raised, status = fails(step, opened=lambda: open_instance(tmp_path / "dagster"))
    assert (str(raised), status) == ("enough", "FAILURE")
    assert children == []
