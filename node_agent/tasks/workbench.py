"""The node's slots: which task runs where, which starts next, and what happens when one ends."""

import asyncio
import logging
import os
import shutil
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from atlas.errors import AtlasError
from atlas.ids import Cid
from atlas.unexpected import describe_error
from node_agent.errors import BusError, NodeError
from node_agent.home.journal import JournalEntry
from node_agent.node_context import NodeContext
from node_agent.tasks.decision import LOOKS, Drop, Observed, plan
from node_agent.tasks.rests import Rests
from node_agent.tasks.task_run import TaskRun, log_file, work_folder
from node_agent.tasks.trainer_process import trainer_command, trainer_environment
from node_agent.tasks.trainer_slot import TrainerSlot
from node_agent.wire import subjects
from node_agent.wire.messages import AssignHint, TaskState

log = logging.getLogger(__name__)
LOST = "This node no longer holds the lease: it ran out, was released, or the task was assigned again."
KILL_SECONDS = 2.0
REMEMBERED_SECONDS = 14 * 24 * 3600


class Workbench:
    """Keeps the slots busy with the journal's tasks. Not thread-safe: call it in the event loop."""

    def __init__(
        self,
        context: NodeContext,
        slot_gpus: Sequence[str | None],
        give_back: Callable[[JournalEntry], Awaitable[None]],
    ) -> None:
        """`slot_gpus`: `CUDA_VISIBLE_DEVICES` in each slot, None for no limit. `give_back` releases a failed task."""
        self._shop = context
        self._slots = [_slot(context, gpu) for gpu in slot_gpus]
        self._give_back = give_back
        self._runs: dict[Cid, tuple[int, TaskRun]] = {}
        self._work: set[asyncio.Task[None]] = set()
        self._misses: dict[Cid, int] = {}
        self._rests = Rests(context.clock)
        self._stopping = False

    @property
    def running(self) -> list[str]:
        """Ids of the running tasks."""
        return sorted(run.entry.hint.task_id for _, run in self._runs.values())

    def entry(self, task: Cid) -> JournalEntry | None:
        """A task's current entry; None if it was never accepted."""
        if task in self._runs:
            return self._runs[task][1].entry
        return self._shop.journal.get(task)

    def accept(self, hint: AssignHint, plan: Cid) -> JournalEntry:
        """Accept a task whose lease, with this plan, was just found to be ours.

        Earlier attempts at it are then lost.
        """
        for entry in self._shop.journal.unfinished():
            if entry.hint.place[:3] == hint.place[:3] and entry.task != hint.task:
                self._misses[entry.task] = LOOKS
        entry = self._shop.journal.accept(hint, plan)
        self._misses[hint.task] = 0
        self.step()
        return self.entry(hint.task) or entry

    def learn(self, held: Mapping[Cid, bool]) -> None:
        """Process the chain's answer: for each task, whether this node holds its lease."""
        for task, ours in held.items():
            self._misses[task] = 0 if ours else self._misses.get(task, 0) + 1
        self.step()

    def step(self) -> None:
        """Apply the plan, once."""
        unfinished = {entry.task: entry for entry in self._shop.journal.unfinished()}
        self._misses = {task: count for task, count in self._misses.items() if task in unfinished}
        observed = Observed(
            unfinished=[task for task in unfinished if not self._rests.rests(task)],
            running={task: slot for task, (slot, _) in self._runs.items()},
            misses=self._misses,
            slots=len(self._slots),
            stopping=self._stopping,
        )
        for action in plan(observed):
            if isinstance(action, Drop):
                self._drop(unfinished[action.task])
            else:
                self._start(unfinished[action.task], action.slot)

    def tidy(self) -> None:
        """Remove leftovers of earlier runs: folders of ended tasks, and everything older than `REMEMBERED_SECONDS`."""
        keep = {work_folder(self._shop.home, entry) for entry in self._shop.journal.unfinished()}
        for folder in self._shop.home.work.glob("*"):
            if folder not in keep:
                shutil.rmtree(folder)
        oldest = self._shop.clock() - REMEMBERED_SECONDS
        for entry in self._shop.journal.forget_before(oldest):
            log_file(self._shop.home, entry).unlink(missing_ok=True)
        self._shop.residuals.forget_before(oldest)

    async def close(self) -> list[JournalEntry]:
        """Pause all tasks, and return the paused ones; trainers get `stop_seconds` to save their work."""
        self._stopping = True
        waiting = [entry for entry in self._shop.journal.unfinished() if entry.task not in self._runs]
        runs = [run for _, run in self._runs.values()]
        for run in runs:
            run.stop()
        await self._wait(self._shop.config.stop_seconds)
        for run in runs:
            run.kill()
        await self._wait(KILL_SECONDS)
        for work in self._work:
            work.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        for slot in self._slots:
            await slot.close()
        for entry in waiting:
            await self._report_end(self._end(entry, state="paused"))
        ended = [run.entry for run in runs] + [self._shop.journal[entry.task] for entry in waiting]
        return [entry for entry in ended if entry.state == "paused"]

    async def _wait(self, seconds: float) -> None:
        if self._work:
            await asyncio.wait(self._work, timeout=seconds)

    def _start(self, entry: JournalEntry, slot: int) -> None:
        run = TaskRun(self._shop, entry, self._slots[slot])
        self._runs[entry.task] = (slot, run)
        self._keep(self._work_on(entry.task, run))

    def _drop(self, entry: JournalEntry) -> None:
        if entry.task in self._runs:
            self._runs[entry.task][1].abandon(LOST)
            return
        try:
            ended = self._end(entry, state="failed", error=LOST)
        except NodeError as error:
            self._interrupted(entry, error)
        else:
            self._rests.forget(entry.task)
            self._keep(self._report_end(ended))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Hold a reference to work in the background until it ends."""
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _work_on(self, task: Cid, run: TaskRun) -> None:
        try:
            entry = await run.run()
        except Exception as error:
            self._interrupted(run.entry, error)
            return
        finally:
            del self._runs[task]
        self._rests.forget(task)
        log.info("task %s %s%s", entry.hint.task_id, entry.state, f": {entry.error}" if entry.error else "")
        if entry.state == "failed" and entry.error != LOST:
            await self._give_back(entry)
        await self._clean(entry)
        self.step()

    def _interrupted(self, entry: JournalEntry, error: Exception) -> None:
        """Back off from a task whose end could not be written to the journal. It stays unfinished, and is retried."""
        seconds = self._rests.interrupted(entry.task, describe_error(error))
        if seconds is not None:
            trace = None if isinstance(error, AtlasError) else error
            log.error(
                "task %s is interrupted and retried after %.0f s, until its lease ends: %s",
                entry.hint.task_id,
                seconds,
                error,
                exc_info=trace,
            )

    def _end(self, entry: JournalEntry, state: TaskState, error: str | None = None) -> JournalEntry:
        """Record the end of a task that has no trainer."""
        ended = entry.model_copy(update={"state": state, "error": error})
        self._shop.journal.save(ended, self._shop.clock())
        return ended

    async def _report_end(self, entry: JournalEntry) -> None:
        try:
            await self._shop.bus.publish(subjects.gradients(entry.hint.job_id), entry.report().to_body())
        except BusError as error:
            log.warning("the end of task %s was not announced: %s", entry.hint.task_id, error)
        await self._clean(entry)

    async def _clean(self, entry: JournalEntry) -> None:
        """Free disk space: remove the task's folder and, if all slots are idle, the content over the limit."""
        await asyncio.to_thread(shutil.rmtree, work_folder(self._shop.home, entry), ignore_errors=True)
        if not self._runs:
            # Not in a thread: no task may start reading content that is being removed.
            self._shop.store.trim(self._shop.config.cache_bytes)


def _slot(context: NodeContext, gpu: str | None) -> TrainerSlot:
    config, home = context.config, context.home
    environment = trainer_environment(os.environ, config.threads, gpu, home.cache)
    return TrainerSlot(trainer_command("--wait", str(home.work)), environment, config.keep_trainer_seconds)
