"""One task from its inputs to its report: fetch, train, upload, sign."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import stamina

from atlas import activity
from atlas.content.places.open import Content, IpfsPlaces
from atlas.documents.stored import get_document
from atlas.errors import AtlasError, ContentNotFound, ContentUnreachable
from atlas.ids import Cid
from atlas.spec.job import FleetSpec, JobSpec, TaskSpec
from atlas.unexpected import describe_error
from node_agent.data.task_data import open_data
from node_agent.errors import NoProgress, TrainerFailed
from node_agent.home.config import NodeHome
from node_agent.home.journal import JournalEntry
from node_agent.node_context import NodeContext
from node_agent.tasks.handing_over import hand_over
from node_agent.tasks.inputs import prepare_order
from node_agent.tasks.standstill import unless_still
from node_agent.tasks.task_progress import TaskProgress
from node_agent.tasks.trainer_files import (
    EXIT_FAILED,
    EXIT_STOPPED,
    TrainerCall,
    TrainerResult,
    failure_kind,
    failure_reason,
)
from node_agent.tasks.trainer_process import TrainerExit
from node_agent.tasks.trainer_slot import Trainer, TrainerSlot

log = logging.getLogger(__name__)
MOST_CRASHES = 2
Result = TypeVar("Result")


class TaskRun:
    """A task that runs in a slot."""

    def __init__(self, context: NodeContext, entry: JournalEntry, slot: TrainerSlot) -> None:
        self._shop = context
        self._slot = slot
        self._progress = TaskProgress(context, entry)
        self._folder = work_folder(context.home, entry)
        self._trainer: Trainer | None = None
        self._stopping = False
        self._abandoned: str | None = None
        self._again: str | None = None
        """Why the trainer that is about to start is not the first one of this attempt."""
        self._progress_seconds: float = FleetSpec().progress_seconds

    @property
    def entry(self) -> JournalEntry:
        """The task's current entry."""
        return self._progress.entry

    async def run(self) -> JournalEntry:
        """Run the task to its end, which is written to the journal and published; raises nothing but cancellation."""
        try:
            with activity.listening(self._progress.on_activity):
                await self._run()
            await self._progress.settle()
        finally:
            await self._progress.close()
        return self.entry

    def stop(self) -> None:
        """Let the trainer save its work; the task ends as paused."""
        self._stopping = True
        if self._trainer is not None:
            self._trainer.stop()

    def kill(self) -> None:
        """End the trainer at once; the task ends as paused, at its newest checkpoint."""
        self._stopping = True
        if self._trainer is not None:
            self._trainer.kill()

    def abandon(self, reason: str) -> None:
        """End the trainer at once and the task as failed."""
        self._abandoned = reason
        self.kill()

    async def _run(self) -> None:
        try:
            self._again = None if self.entry.started_at is None else "its agent was restarted"
            started_at = self.entry.started_at or self._shop.clock()
            self._progress.update(state="in_progress", started_at=started_at)
            task = await asyncio.to_thread(get_document, self._shop.store, self.entry.task, TaskSpec)
            self._progress.confidential = task.form != "rows"
            result = await self._train(task)
            if result is None:
                self._progress.update(state="paused")
            else:
                found = await hand_over(self._shop, self.entry, task, result, started_at)
                self._progress.update(state="completed", step=result.steps, **found)
        except AtlasError as error:
            kind = error.kind if isinstance(error, TrainerFailed) else None
            self._progress.update(state="failed", error=str(error), failure=kind)
        except Exception as error:
            # An error in one task must not end the node's other tasks.
            log.exception("task %s failed", self.entry.hint.task_id)
            self._progress.update(state="failed", error=describe_error(error))
        self._progress.announce()

    async def _train(self, task: TaskSpec) -> TrainerResult | None:
        """The trainer's result; None if it was stopped. A killed trainer is restarted a few times."""
        result_file = self._folder / "result.json"
        self._folder.mkdir(parents=True, exist_ok=True)
        while not result_file.exists():
            self._adopt_newer_checkpoint()
            await self._progress.settle()
            order = await self._fetch(task)
            log.info("task %s starts from %s", task.task_id, order or "its base")
            self._report_restart(order)
            end = None if self._stopping else await self._run_trainer(task)
            await self._progress.settle()
            if self._abandoned is not None:
                raise TrainerFailed(self._abandoned)
            if isinstance(end, TrainerExit) and end.code == 0 and result_file.exists():
                break
            if self._stopping or end is None:
                return None
            if isinstance(end, TrainerExit):
                self._count_end(end, task)
            else:
                self._count_crash(str(end), "Check its disk and network, or raise fleet.progress_seconds.")
        return TrainerResult.read(result_file)

    def _adopt_newer_checkpoint(self) -> None:
        """Upload the newest checkpoint that an earlier agent or trainer wrote and did not upload."""
        found = sorted(self._folder.glob("checkpoint-*.safetensors"))
        if found:
            self._progress.save_checkpoint(int(found[-1].stem.rpartition("-")[2]), found[-1])

    async def _fetch(self, task: TaskSpec) -> Cid | None:
        """Prepare the inputs; raises `TrainerFailed` when that makes no progress."""
        content = self._shop.config.content
        activity.begin("fetching its inputs")
        try:
            spec = await unless_still(patiently(content, self._spec, task), self._signs, self._progress_seconds)
            self._progress_seconds = spec.fleet.progress_seconds
            return await unless_still(patiently(content, self._prepare, task), self._signs, self._progress_seconds)
        except NoProgress as error:
            raise TrainerFailed(f"Fetching the inputs of the task {error}. Check the node's content store.") from error

    def _signs(self) -> int:
        return self._progress.signs

    def _report_restart(self, resume: Cid | None) -> None:
        if self._again is not None:
            saved = self.entry.checkpoints
            self._progress.report_restart(self._again, saved[-1].step if saved else None if resume else 0)
            self._again = None

    async def _spec(self, task: TaskSpec) -> JobSpec:
        return await asyncio.to_thread(get_document, self._shop.store, task.job, JobSpec)

    async def _prepare(self, task: TaskSpec) -> Cid | None:
        data = await open_data(task, self._shop, self._folder)
        return await asyncio.to_thread(self._write_order, task, data)

    def _write_order(self, task: TaskSpec, data: Path) -> Cid | None:
        """Fetch the inputs and write `task.json`; return the CID of the checkpoint that training resumes from."""
        config = self._shop.config
        saved = self.entry.checkpoints
        resume = saved[-1].cid if saved else task.resume
        device = None if config.device == "auto" else config.device
        order = prepare_order(
            task, data, resume, self._shop.store, self._shop.home.cache, config.threads, device, self._shop.residuals
        )
        order.write(self._folder / "task.json")
        return resume

    async def _run_trainer(self, task: TaskSpec) -> TrainerExit | NoProgress:
        """The trainer's exit; `NoProgress` if it was killed because it made no progress."""
        log_path = log_file(self._shop.home, self.entry)
        call = TrainerCall(folder=self._folder, log=log_path, pipes=self.entry.hint.pipes)
        job = task.job if task.form == "rows" else None
        self._trainer = Trainer(self._slot, call, job, self._progress.on_message)
        try:
            return await unless_still(self._trainer.run(), self._signs, self._progress_seconds)
        except NoProgress as error:
            return error

    def _count_end(self, end: TrainerExit, task: TaskSpec) -> None:
        """Raise `TrainerFailed`, unless the trainer was killed and may be started again."""
        words = exit_reason(end, task, self._folder, log_file(self._shop.home, self.entry))
        if end.killed or end.code == EXIT_STOPPED:
            how = f"was killed by signal {-end.code}" if end.killed else f"ended with exit code {end.code}"
            self._count_crash(how, f"Check this machine's memory. {words}")
        else:
            told = words if end.code == EXIT_FAILED else f"The trainer ended with exit code {end.code}: {words}"
            raise TrainerFailed(told, failure_kind(self._folder))

    def _count_crash(self, how: str, advice: str) -> None:
        """Count a restart of the trainer; raises `TrainerFailed` after too many."""
        if self.entry.crashes == MOST_CRASHES:
            raise TrainerFailed(f"The trainer {how}, after {MOST_CRASHES} restarts. {advice.strip()}")
        self._progress.update(crashes=self.entry.crashes + 1)
        self._again = f"its trainer {how}"
        log.warning("the trainer of task %s %s; it is restarted", self.entry.hint.task_id, how)


async def patiently(content: Content, prepare: Callable[[TaskSpec], Awaitable[Result]], task: TaskSpec) -> Result:
    """The result of `prepare`; over IPFS it is retried, because a node that has just started has no peers yet."""
    if not isinstance(content, IpfsPlaces):
        return await prepare(task)
    again = stamina.AsyncRetryingCaller(attempts=4, timeout=120, wait_initial=2, wait_max=20)
    return await again((ContentNotFound, ContentUnreachable), prepare, task)


def exit_reason(end: TrainerExit, task: TaskSpec, folder: Path, log: Path) -> str:
    """Why a trainer ended, on one line, without private data.

    For a trainer that read private rows this is only the name of its log; for one that was killed, or could not write
    its reason, the end of its output.
    """
    return failure_reason(folder, end.tail) if task.form == "rows" else f"The reason is in {log.name} on its node."


def work_folder(home: NodeHome, entry: JournalEntry) -> Path:
    """The work folder of a task's trainer; removed when the task has ended."""
    return home.work / entry.task


def log_file(home: NodeHome, entry: JournalEntry) -> Path:
    """The log of a task's trainer; kept as long as the task is in the journal."""
    return home.logs / f"{entry.hint.task_id}-{entry.hint.attempt}.log"
