"""The Dagster job `plan`: the tables of a plan as metadata of its op."""

import pytest

from assets.ops.plan import plan_order
from atlas_pipelines.definitions import defs
from resources.coordinator import CoordinatorResource


def execute(spec, home, monkeypatch, **config):
    monkeypatch.delenv("ATLAS_NETWORK", raising=False)
    fields = {"spec": str(spec), **config}
    return defs.resolve_job_def("plan").execute_in_process(
        run_config={"ops": {plan_order.name: {"config": fields}}},
        resources={"coordinator": CoordinatorResource(atlas_home=str(home))},
        raise_on_error=False,
    )


@pytest.mark.slow
def test_the_tables_are_the_metadata_of_the_op(tiny_spec, tmp_path, monkeypatch):
    done = execute(tiny_spec(), tmp_path / "home", monkeypatch, rounds=3, budget=2_000_000)
    assert done.success, done.all_events
    (output,) = [event.step_output_data for event in done.all_events if event.is_successful_output]
    shown = {title: value.value for title, value in output.metadata.items()}
    assert "| rounds | 3 |" in shown["job"]
    assert "| trainable | 1,090 (" in shown["job"]
    assert shown["nodes: unknown, because no network runs"]
    assert shown["first rows as the model sees them"].count("\n") == 11
    assert not (tmp_path / "home" / "coordinator.db").exists()


@pytest.mark.parametrize(
    ("config", "reason"),
    [({"budget": 1}, "Raise payment.budget"), ({"repeat": "other"}, "Leave repeat empty")],
    ids=["budget", "repeat"],
)
def test_an_order_that_cannot_run_cancels_the_run_with_its_sentence(tiny_spec, tmp_path, monkeypatch, config, reason):
    done = execute(tiny_spec(), tmp_path / "home", monkeypatch, **config)
    assert not done.success
    (failed,) = [event for event in done.all_events if event.is_step_failure]
    assert reason in failed.step_failure_data.user_failure_data.description
