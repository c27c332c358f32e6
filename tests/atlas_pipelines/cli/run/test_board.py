import io
import math
from itertools import count

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from atlas.content.format.cid import cid_of_bytes
from atlas.spec.job import TaskSpec
from atlas_pipelines.cli.run.board import Line, advance, conclude, describe, draw
from atlas_pipelines.cli.run.watching import WARNINGS, Watching
from node_agent.tasks.progress_messages import custom
from node_agent.wire.messages import TaskReport
from resources.dispatch.outcomes import LostTask, TaskUpdate

CID = cid_of_bytes(b"any")


def task(shard: str | None = "s000", attempt: int = 1) -> TaskSpec:
    return TaskSpec(
        kind="train" if shard else "evaluate",
        contract="atlas1",
        job_id=1,
        job=CID,
        model=CID,
        round=1,
        slot=0,
        shard=shard,
        data=CID,
        rows=10,
        base=CID,
        attempt=attempt,
    )


def report(step: int, steps: int = 8, loss: float | None = None, state: str = "in_progress", attempt: int = 1):
    of = task(attempt=attempt)
    return TaskReport(task_id=of.task_id, task=of.cid, attempt=attempt, state=state, step=step, steps=steps, loss=loss)


def update(event: str, attempt: int = 1, node: int | None = None, **news) -> TaskUpdate:
    return TaskUpdate(task(attempt=attempt), event, "text", node_id=node, **news)


def progress(**payload) -> dict:
    return {"method": "report_custom_message", "params": {"payload": {"kind": "progress", **payload}}}


def test_a_line_follows_its_task():
    line = Line("s000")
    line = advance(line, update("assigned", node=2))
    assert describe(line) == "s000: assigned, node 2"
    line = advance(line, update("message", node=2, message=progress(step=3, steps=8, loss=0.61, tokens_per_second=90)))
    assert describe(line) == "s000: in progress, node 2, step 3/8, loss 0.6100, 90 tokens/s"
    line = advance(line, update("progress", node=2, report=report(8, loss=0.5, state="completed")))
    assert (line.state, line.step, line.loss) == ("completed", 8, 0.5)


def test_a_late_report_does_not_move_a_line_back():
    line = advance(Line("s000"), update("message", message=progress(step=7, steps=8)))
    assert advance(line, update("progress", report=report(2))).step == 7


def test_a_new_attempt_starts_a_new_line():
    line = advance(Line("s000"), update("progress", node=1, report=report(6, loss=0.4)))
    line = advance(line, update("assigned", attempt=2, node=2))
    assert line == Line("s000", state="assigned", node=2, attempt=2)


def stage(name: str, size: int = 0) -> TaskUpdate:
    return update("message", node=1, message=custom({"kind": "stage", "stage": name, "bytes": size}))


def test_a_line_shows_the_stage_before_the_first_step_and_no_log_line_is_made_of_it():
    line = advance(Line("s000", state="assigned", node=1, attempt=1), stage("fetching its inputs", 12 << 20))
    console = Console(file=io.StringIO(), width=120)
    console.print(draw("", {"s000": line}))
    assert "fetching its inputs, 12 MiB" in console.file.getvalue()
    assert describe(line) == "s000: assigned, node 1"
    line = advance(line, stage("loading the model"))
    assert line.stage == "loading the model"
    assert advance(line, stage("training")).stage == ""
    line = advance(line, update("message", node=1, message=progress(step=1, steps=8)))
    assert (line.stage, line.state) == ("", "in progress")


def test_a_trainer_that_starts_again_sets_its_line_back_to_its_checkpoint():
    line = advance(Line("s000"), update("message", node=1, message=progress(step=14, steps=40)))
    line = advance(line, update("restarted", node=1, step=10))
    assert (line.step, line.state) == (10, "started again")
    line = advance(line, update("message", node=1, message=progress(step=11, steps=40)))
    assert (line.step, line.state) == (11, "in progress")


def test_a_lost_task_ends_with_one_line_whatever_its_reason():
    reason = "the trainer failed:\n\x1b[31mDataError: Row 1 is bad.\n\n"
    line = conclude(Line("s000", node=1), LostTask(task(), reason))
    assert describe(line) == "s000, node 1: lost: the trainer failed: [31mDataError: Row 1 is bad."


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
MESSAGES = st.fixed_dictionaries({"method": JSON, "params": JSON | st.fixed_dictionaries({"payload": JSON})})


@given(
    MESSAGES
    | st.fixed_dictionaries(
        {
            "params": st.fixed_dictionaries(
                {
                    "payload": st.fixed_dictionaries(
                        {
                            "kind": st.just("progress"),
                            "step": JSON,
                            "steps": JSON,
                            "loss": JSON,
                            "tokens_per_second": JSON,
                        }
                    )
                }
            )
        }
    )
)
@example(progress(step=math.nan, steps=math.inf, loss=-math.inf))
@example(progress(step="3", loss=None))
@example({"params": 3})
def test_whatever_a_node_prints_can_be_drawn(message):
    line = advance(Line("s000"), update("message", message=message))
    Console(file=io.StringIO(), width=120).print(draw("round", {"s000": line}))


def test_the_evaluation_comes_last():
    console = Console(file=io.StringIO(), width=120)
    console.print(draw("", {label: Line(label) for label in ("evaluation", "s001", "s000")}))
    shown = console.file.getvalue()
    assert shown.index("s000") < shown.index("s001") < shown.index("evaluation")


def test_a_log_gets_few_lines_however_many_steps():
    console = Console(file=io.StringIO(), width=120)
    with Watching(console) as watching:
        watching.begin("sentiment-r0001")
        watching.task(update("assigned", node=1))
        for step in range(1, 101):
            watching.task(update("message", node=1, message=progress(step=step, steps=100, loss=1 / step)))
        watching.task(update("progress", node=1, report=report(100, 100, state="completed")))
        watching.end()
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "sentiment-r0001"
    assert lines[1:] == [
        "  s000: assigned, node 1",
        "  s000: in progress, node 1, step 50/100, loss 0.0200",
        "  s000: completed, node 1, step 100/100, loss 0.0100",
    ]


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("event", ["restarted", "moved", "lost", "refused", "waiting"])
def test_what_happens_to_a_task_is_said_once_in_a_line_that_stays(event, terminal):
    console = Console(file=io.StringIO(), width=120, force_terminal=terminal)
    text = "s000, round 1: moves from node 1 to node 2 and resumes from step 20 (attempt 2)"
    with Watching(console) as watching:
        watching.task(TaskUpdate(task(attempt=2), event, text, 2, step=20))
    assert console.file.getvalue().count(text) == 1


def logged(text, level="WARNING") -> dict:
    return {"method": "log", "params": {"message": text, "level": level}}


@pytest.mark.parametrize("terminal", [False, True])
def test_what_a_trainer_warns_of_is_said_once_in_a_line_that_stays(terminal):
    console = Console(file=io.StringIO(), width=120, force_terminal=terminal)
    with Watching(console) as watching:
        watching.begin("sentiment-r0001")
        for _ in range(2):
            watching.task(update("message", node=1, message=logged("3 of 9 rows have nothing\x1b[2J to predict")))
        watching.task(update("message", node=1, message=logged("loading", "INFO")))
    shown = console.file.getvalue()
    assert shown.count("  s000, round 1: Warning: 3 of 9 rows have nothing[2J to predict") == 1
    assert "loading" not in shown


def test_a_trainer_that_warns_without_end_gets_few_lines():
    console = Console(file=io.StringIO(), width=120)
    with Watching(console) as watching:
        for round_ in ("sentiment-r0001", "sentiment-r0002"):
            watching.begin(round_)
            for number in range(100):
                watching.task(update("message", node=1, message=logged(f"row {number}")))
    assert console.file.getvalue().count("Warning") == 2 * WARNINGS


@given(MESSAGES)
def test_whatever_a_node_logs_ends_no_round(message):
    with Watching(Console(file=io.StringIO())) as watching:
        watching.task(update("message", node=1, message={**message, "method": "log"}))


def test_rows_that_are_read_are_few_lines_of_a_log_however_many_there_are():
    console = Console(file=io.StringIO(), width=120)
    with Watching(console, clock=count(0.0, 2.0).__next__) as watching:
        watching.note("Reading rows.csv.")
        for thousand in range(1, 21):
            watching.passing(f"{thousand},000 rows of rows.csv are read.")
        watching.note("rows.csv has 20,000 rows in 4 shards.")
    assert console.file.getvalue().splitlines() == [
        "Reading rows.csv.",
        "16,000 rows of rows.csv are read.",
        "rows.csv has 20,000 rows in 4 shards.",
    ]


def test_rows_that_are_read_are_a_line_of_a_terminal_that_the_next_one_replaces():
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    with Watching(console) as watching:
        for thousand in (1, 2):
            watching.passing(f"{thousand},000 rows of rows.csv are read.")
            watching.end()
        watching.note("rows.csv has 2,000 rows in 4 shards.")
    shown = console.file.getvalue()
    assert "1,000 rows" not in shown.rpartition("\x1b[1A")[2]
    assert "are read" not in shown.rpartition("rows.csv has")[2]


@pytest.mark.parametrize("event", ["waiting", "adopted", "lost"])
def test_every_turn_of_a_task_shows_on_a_terminal(event):
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    with Watching(console) as watching:
        watching.begin("sentiment-r0001")
        watching.task(update(event, node=1))
        watching.end()
    assert {"waiting": "waiting", "adopted": "taken over", "lost": "lost"}[event] in console.file.getvalue()
