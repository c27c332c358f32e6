"""The messages about a running task, over a real bus, journal and store."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atlas.content.local.cached import CachedStore
from atlas.content.local.store import LocalStore
from atlas.documents.stored import put_document
from atlas.signing import KeySigner
from atlas.spec.job import TaskSpec
from chain_bridge.client.network import Network
from node_agent.home.config import NodeConfig, NodeHome
from node_agent.home.journal import Journal
from node_agent.home.residuals import Residuals
from node_agent.node_context import NodeContext
from node_agent.tasks.task_progress import TaskProgress
from node_agent.tasks.task_run import TaskRun, exit_reason
from node_agent.tasks.trainer_process import TrainerExit
from node_agent.tasks.trainer_slot import TrainerSlot
from node_agent.wire import subjects
from node_agent.wire.bus import Bus, Message
from node_agent.wire.messages import AssignHint, TaskReport

PLAN = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
HINT = AssignHint(
    task="bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy",
    task_id="0" * 16,
    job_id=1,
    round=1,
    slot=0,
    attempt=1,
)


@pytest.fixture
async def context(tmp_path: Path, nats_server: Any, alice: KeySigner) -> AsyncIterator[NodeContext]:
    network = Network(chain_id="test", url="grpc+http://127.0.0.1:1", contract="atlas1contract")
    config = NodeConfig(network=network, bus=nats_server.url, content=tmp_path / "shared")
    store = CachedStore(LocalStore(tmp_path / "own"), LocalStore(config.content))
    bus = await Bus.connect(nats_server.url, alice)
    home = NodeHome(tmp_path)
    journal, residuals = Journal(home.journal), Residuals(home.residuals)
    yield NodeContext(home, config, journal, store, residuals, bus, alice, lambda: 5.0, lambda job: alice.address)
    await bus.close()


@pytest.fixture
async def heard(nats_server: Any, bob: KeySigner) -> AsyncIterator[asyncio.Queue[Message]]:
    bus = await Bus.connect(nats_server.url, bob)
    messages: asyncio.Queue[Message] = asyncio.Queue()
    await bus.subscribe("atlas.>", messages.put)
    yield messages
    await bus.close()


def pipes(method: str, **params: Any) -> dict[str, Any]:
    return {"__dagster_pipes_version": "0.1", "method": method, "params": params}


def custom(kind: str, **values: Any) -> dict[str, Any]:
    return pipes("report_custom_message", payload={"kind": kind, **values})


async def drain(heard: asyncio.Queue[Message], count: int) -> list[Message]:
    return [await asyncio.wait_for(heard.get(), 10) for _ in range(count)]


async def test_progress_is_told_and_not_journaled(context: NodeContext, heard: asyncio.Queue[Message]) -> None:
    progress = TaskProgress(context, context.journal.accept(HINT, PLAN))
    progress.on_message(custom("progress", step=3, steps=9, loss=0.5, tokens_per_second=1.0))
    assert (progress.entry.report().step, progress.entry.report().loss) == (3, 0.5)
    assert context.journal[HINT.task].step == 0, "a step a fsync would slow training down"
    (message,) = await drain(heard, 1)
    assert message.subject == subjects.pipes(HINT.task_id)
    assert message.body["pipes"]["params"]["payload"]["step"] == 3
    await progress.close()


@pytest.mark.parametrize("loss", [float("nan"), None])
async def test_a_loss_that_is_no_number_ends_nothing(loss: float | None, context: NodeContext) -> None:
    progress = TaskProgress(context, context.journal.accept(HINT, PLAN))
    progress.on_message(custom("progress", step=3, steps=9, loss=loss, tokens_per_second=1.0))
    await progress.settle()
    assert progress.entry.report().loss is None
    await progress.close()


async def test_a_checkpoint_is_uploaded_journaled_and_announced_before_the_session_closes(
    context: NodeContext, heard: asyncio.Queue[Message], tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint-000004.safetensors"
    path.write_bytes(b"moments")
    progress = TaskProgress(context, context.journal.accept(HINT, PLAN))
    progress.on_message(custom("checkpoint", step=4, path=str(path)))
    progress.on_message(pipes("closed"))
    await progress.settle()
    (saved,) = context.journal[HINT.task].checkpoints
    assert LocalStore(tmp_path / "shared").read(saved.cid) == b"moments"
    rollback, announced, closed = await drain(heard, 3)
    assert rollback.subject == subjects.rollback(1)
    assert rollback.read(TaskReport).checkpoint == saved
    payload = announced.body["pipes"]["params"]["payload"]
    assert payload == {"kind": "checkpoint", "step": 4, "cid": saved.cid}, "no path of this machine goes out"
    assert closed.body["pipes"]["method"] == "closed"
    await progress.close()


async def test_an_overtaken_a_vanished_and_an_old_checkpoint_are_left_out(context: NodeContext, tmp_path: Path) -> None:
    progress = TaskProgress(context, context.journal.accept(HINT, PLAN))
    paths = {step: tmp_path / f"checkpoint-{step:06d}.safetensors" for step in (2, 4, 6)}
    for step in (2, 6):
        paths[step].write_bytes(b"moments %d" % step)
    progress.save_checkpoint(4, paths[4])
    await progress.settle()
    assert progress.entry.checkpoints == [], "the trainer had removed it already"
    progress.save_checkpoint(2, paths[2])
    progress.save_checkpoint(6, paths[6])
    await progress.settle()
    assert [saved.step for saved in progress.entry.checkpoints] == [6]
    progress.save_checkpoint(2, paths[2])
    await progress.settle()
    assert [saved.step for saved in context.journal[HINT.task].checkpoints] == [6]
    await progress.close()


async def test_without_a_bus_everything_but_the_news_goes_on(
    context: NodeContext, nats_server: Any, tmp_path: Path
) -> None:
    await context.bus.close()
    path = tmp_path / "checkpoint-000004.safetensors"
    path.write_bytes(b"moments")
    progress = TaskProgress(context, context.journal.accept(HINT, PLAN))
    progress.save_checkpoint(4, path)
    progress.announce()
    await progress.settle()
    assert [saved.step for saved in context.journal[HINT.task].checkpoints] == [4]
    await progress.close()


@pytest.mark.parametrize("confidential", [False, True])
async def test_a_trainer_s_error_may_quote_a_private_row(
    context: NodeContext, heard: asyncio.Queue[Message], confidential: bool
) -> None:
    progress = TaskProgress(context, context.journal.accept(HINT, PLAN))
    progress.confidential = confidential
    progress.on_message(pipes("closed", exception={"message": "cannot encode 'Mrs Miller has the flu'"}))
    await progress.settle()
    (message,) = await drain(heard, 1)
    assert message.body["pipes"]["method"] == "closed"
    assert ("Miller" in str(message.body)) is not confidential
    await progress.close()


@pytest.mark.parametrize(("form", "told"), [("rows", True), ("sealed", False), ("node-local", False)])
def test_last_words_stay_on_the_node_where_rows_are_private(form: Any, told: bool, tmp_path: Path) -> None:
    task = TaskSpec(
        kind="train", contract="c", job_id=1, job="j", model="m", round=1, slot=0, data="d", form=form, rows=1,
        base="b", attempt=1,
    )  # fmt: skip
    words = exit_reason(
        TrainerExit(1, "cannot encode 'Mrs Miller has the flu'"), task, tmp_path, Path("/node/logs/t-1.log")
    )
    assert ("Miller" in words) is told
    assert ("t-1.log" in words) is not told


async def test_a_trainer_that_ends_in_good_order_without_a_result_fails_its_task(
    context: NodeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    cids = dict.fromkeys(("job", "model", "data", "base"), PLAN)
    task = TaskSpec(kind="train", contract="c", job_id=1, round=1, slot=0, shard="s000", rows=1, attempt=1, **cids)
    hint = HINT.model_copy(update={"task": put_document(context.store, task), "task_id": task.task_id})

    async def without_inputs(run: TaskRun, task: TaskSpec) -> None:
        """Nothing is fetched."""

    monkeypatch.setattr(TaskRun, "_fetch", without_inputs)
    slot = TrainerSlot([sys.executable, "-c", "pass"], {}, keep_seconds=0)
    run = TaskRun(context, context.journal.accept(hint, PLAN), slot)
    ended = await asyncio.wait_for(run.run(), 120)
    assert ended.state == "failed"
    assert "exit code 0" in (ended.error or "")
