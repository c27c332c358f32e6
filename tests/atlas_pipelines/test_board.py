import io
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from atlas.content.cid import cid_of_bytes
from atlas.spec import TaskSpec
from atlas_pipelines.cli.board import Line, advance, describe, draw
from atlas_pipelines.cli.watching import Watching
from node_agent.messages import TaskReport
from resources.outcomes import TaskUpdate

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


@pytest.mark.parametrize("event", ["waiting", "adopted", "lost"])
def test_every_turn_of_a_task_shows_on_a_terminal(event):
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    with Watching(console) as watching:
        watching.begin("sentiment-r0001")
        watching.task(update(event, node=1))
        watching.end()
    assert {"waiting": "waiting", "adopted": "taken over", "lost": "lost"}[event] in console.file.getvalue()
