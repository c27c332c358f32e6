"""One task from its inputs to its report: fetch, train, upload, sign."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import stamina

from atlas.content.cid import cid_of_file
from atlas.content.places import Content, IpfsPlaces
from atlas.content.store import get_document
from atlas.errors import AtlasError, ContentError, ContentNotFound, ContentUnreachable
from atlas.manifests import Receipt
from atlas.spec import TaskSpec
from atlas.unexpected import describe_error
from atlas.verification.receipts import sign_receipt
from node_agent.config import NodeHome
from node_agent.errors import TrainerFailed
from node_agent.executor import Trainer, TrainerExit, trainer_environment, worker_command
from node_agent.inputs import prepare_order
from node_agent.journal import Entry
from node_agent.residuals import residual_place
from node_agent.task_data import open_data
from node_agent.task_progress import TaskProgress
from node_agent.work_order import EXIT_FAILED, EXIT_STOPPED, WorkResult, failure_reason
from node_agent.workshop import Workshop

log = logging.getLogger(__name__)
MOST_CRASHES = 2
Result = TypeVar("Result")


class TaskRun:
    """A task that has a slot, and the GPU of that slot (None: whatever there is)."""

    def __init__(self, workshop: Workshop, entry: Entry, gpu: str | None) -> None:
        self._shop = workshop
        self._gpu = gpu
        self._progress = TaskProgress(workshop, entry)
        self._folder = work_folder(workshop.home, entry)
        command, log_path = worker_command(self._folder), log_file(workshop.home, entry)
        self._trainer = Trainer(command, self._folder, log_path, self._progress.on_message)
        self._stopping = False
        self._abandoned: str | None = None

    @property
    def entry(self) -> Entry:
        """The task as it is at this moment."""
        return self._progress.entry

    async def run(self) -> Entry:
        """Bring the task to an end that is in the journal and on the bus; raises nothing but cancellation."""
        try:
            await self._run()
            await self._progress.settle()
        finally:
            await self._progress.close()
        return self.entry

    def stop(self) -> None:
        """Let the trainer save its work; the task ends as paused."""
        self._stopping = True
        self._trainer.stop()

    def kill(self) -> None:
        """End the trainer at once; the task ends as paused, at its newest checkpoint."""
        self._stopping = True
        self._trainer.kill()

    def abandon(self, reason: str) -> None:
        """End the trainer at once and the task as failed."""
        self._abandoned = reason
        self.kill()

    async def _run(self) -> None:
        try:
            started_at = self.entry.started_at or self._shop.clock()
            self._progress.update(state="in_progress", started_at=started_at)
            task = await asyncio.to_thread(get_document, self._shop.store, self.entry.task, TaskSpec)
            self._progress.confidential = task.form != "rows"
            result = await self._train(task)
            if result is None:
                self._progress.update(state="paused")
            else:
                await self._hand_over(task, result, started_at)
        except AtlasError as error:
            self._progress.update(state="failed", error=str(error))
        except Exception as error:
            # The edge of a task: whatever is wrong with one must not end the node's other tasks.
            log.exception("task %s failed", self.entry.hint.task_id)
            self._progress.update(state="failed", error=describe_error(error))
        self._progress.announce()

    async def _train(self, task: TaskSpec) -> WorkResult | None:
        """The trainer's result; None when it was stopped. Starts it again, a few times, when it was killed."""
        result_file = self._folder / "result.json"
        self._folder.mkdir(parents=True, exist_ok=True)
        while not result_file.exists():
            self._adopt_newer_checkpoint()
            await self._progress.settle()
            order = await patiently(self._shop.config.content, self._prepare, task)
            log.info("task %s starts from %s", task.task_id, order or "its base")
            end = None if self._stopping else await self._run_trainer()
            await self._progress.settle()
            if self._abandoned is not None:
                raise TrainerFailed(self._abandoned)
            if self._stopping and not (end and end.code == 0):
                return None
            if end and end.code != 0:
                self._count_crash(end, task)
        return WorkResult.read(result_file)

    def _adopt_newer_checkpoint(self) -> None:
        """A checkpoint that an earlier agent or trainer wrote, and did not live to upload."""
        found = sorted(self._folder.glob("checkpoint-*.safetensors"))
        if found:
            self._progress.save_checkpoint(int(found[-1].stem.rpartition("-")[2]), found[-1])

    async def _prepare(self, task: TaskSpec) -> str | None:
        data = await open_data(task, self._shop, self._folder)
        return await asyncio.to_thread(self._write_order, task, data)

    def _write_order(self, task: TaskSpec, data: Path) -> str | None:
        """Fetch the inputs and write `task.json`; the CID that training goes on from."""
        config = self._shop.config
        saved = self.entry.checkpoints
        resume = saved[-1].cid if saved else task.resume
        device = None if config.device == "auto" else config.device
        order = prepare_order(
            task, data, resume, self._shop.store, self._shop.home.cache, config.threads, device, self._shop.residuals
        )
        order.write(self._folder / "task.json")
        return resume

    async def _run_trainer(self) -> TrainerExit:
        threads, cache = self._shop.config.threads, self._shop.home.cache
        return await self._trainer.run(
            trainer_environment(os.environ, self.entry.hint.pipes, threads, self._gpu, cache)
        )

    def _count_crash(self, end: TrainerExit, task: TaskSpec) -> None:
        """Raise `TrainerFailed`, unless the trainer was killed and may be started again."""
        words = last_words(end, task, self._folder, log_file(self._shop.home, self.entry))
        how = f"was killed by signal {-end.code}" if end.killed else f"ended with exit code {end.code}"
        if not (end.killed or end.code == EXIT_STOPPED):
            raise TrainerFailed(words if end.code == EXIT_FAILED else f"The trainer {how}: {words}")
        if self.entry.crashes == MOST_CRASHES:
            raise TrainerFailed(
                f"The trainer {how}, as it had {MOST_CRASHES} times before; check this machine's memory. {words}"
            )
        self._progress.update(crashes=self.entry.crashes + 1)
        log.warning("the trainer of task %s %s; it starts again", self.entry.hint.task_id, how)

    async def _hand_over(self, task: TaskSpec, result: WorkResult, started_at: float) -> None:
        adapter, encoded = await self._hand_over_update(result)
        receipt = Receipt(
            task=self.entry.task,
            task_id=task.task_id,
            attempt=task.attempt,
            node=self._shop.signer.address,
            data=task.data,
            base=task.base,
            adapter=adapter,
            encoded=encoded,
            residual=result.added,
            steps=result.steps,
            rows_seen=result.rows_seen,
            tokens_seen=result.tokens_seen,
            losses=result.losses,
            checkpoints=self.entry.checkpoints,
            resumed_from=task.resume if result.resumed else None,
            metrics=result.metrics,
            environment=result.environment,
            started_at=started_at,
            finished_at=self._shop.clock(),
        )
        signed = await self._put(sign_receipt(receipt, self._shop.signer).canonical_bytes())
        if result.residual is not None:
            residuals, now = self._shop.residuals, self._shop.clock()
            await asyncio.to_thread(residuals.keep, residual_place(task), task.round, result.residual, now)
        self._progress.update(state="completed", adapter=adapter, receipt=signed, step=result.steps)

    async def _hand_over_update(self, result: WorkResult) -> tuple[str | None, str | None]:
        """Upload the update as it travels; the CIDs of it after and before decoding, as far as there are such."""
        if result.adapter is None:
            return None, None
        if result.encoded is None:
            return await self._put(result.adapter), None
        return await asyncio.to_thread(cid_of_file, result.adapter), await self._put(result.encoded)

    async def _put(self, source: Path | bytes) -> str:
        """Upload a result; raises `ContentError` when the store stays away for two minutes."""
        put = stamina.AsyncRetryingCaller(attempts=8, timeout=120, wait_initial=0.5, wait_max=30)
        return await put(ContentError, asyncio.to_thread, self._shop.store.put, source)


async def patiently(content: Content, prepare: Callable[[TaskSpec], Awaitable[Result]], task: TaskSpec) -> Result:
    """What `prepare` gives; over IPFS a few times again, for a node that has just started knows no peers yet."""
    if not isinstance(content, IpfsPlaces):
        return await prepare(task)
    again = stamina.AsyncRetryingCaller(attempts=4, timeout=120, wait_initial=2, wait_max=20)
    return await again((ContentNotFound, ContentUnreachable), prepare, task)


def last_words(end: TrainerExit, task: TaskSpec, folder: Path, log: Path) -> str:
    """Why a trainer ended, on one line, as its coordinator may know it.

    Of a trainer that read private rows that is the name of its log only; of one that was killed, or could not write
    its reason, the end of what it printed.
    """
    return failure_reason(folder, end.tail) if task.form == "rows" else f"The reason is in {log.name} on its node."


def work_folder(home: NodeHome, entry: Entry) -> Path:
    """Where a task's trainer works; it goes when the task has ended."""
    return home.work / entry.task


def log_file(home: NodeHome, entry: Entry) -> Path:
    """What a task's trainer prints; it stays for as long as the journal remembers the task."""
    return home.logs / f"{entry.hint.task_id}-{entry.hint.attempt}.log"
