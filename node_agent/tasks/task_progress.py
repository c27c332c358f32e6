"""A running task's progress: written to the journal, published on the bus, checkpoints uploaded."""

import asyncio
import logging
import math
from pathlib import Path
from typing import Any

from atlas import activity
from atlas.documents.manifests import SavedCheckpoint
from atlas.errors import ContentError
from node_agent.errors import BusError
from node_agent.home.journal import JournalEntry
from node_agent.node_context import NodeContext
from node_agent.tasks.progress_messages import StageReports, custom, is_sign, payload_of
from node_agent.wire import subjects
from node_agent.wire.messages import PipesLine

log = logging.getLogger(__name__)


class TaskProgress:
    """Tracks one task; `entry` may always be reported. Steps are in memory; all else is in the journal first."""

    def __init__(self, context: NodeContext, entry: JournalEntry) -> None:
        self._shop = context
        self.entry = entry
        self.confidential = False
        """Whether the trainer's rows are private: then a library's error, which may quote a row, is not forwarded."""
        self._newest: tuple[int, Path] | None = None
        self._upload: asyncio.Task[None] | None = None
        self._outbox: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        self._relay: asyncio.Task[None] | None = None
        self._last_message: dict[str, Any] | None = None
        self._loop = asyncio.get_running_loop()
        self._stages = StageReports(self._relay_stage)
        self.signs = 0
        """Signs of progress so far, of the trainer and of the agent's own work on the task."""

    def update(self, **changes: Any) -> None:
        """Change the entry in the journal, then here."""
        changed = self.entry.model_copy(update=changes)
        self._shop.journal.save(changed, self._shop.clock())
        self.entry = changed

    def on_message(self, message: dict[str, Any]) -> None:
        """Process a Pipes message of the trainer, and forward it."""
        payload = payload_of(message)
        kind = payload.get("kind")
        if is_sign(message):
            self.signs += 1
        if kind == "checkpoint":
            # Forwarded with its CID once it is uploaded; its path is useless elsewhere.
            self.save_checkpoint(int(payload["step"]), Path(payload["path"]))
            return
        if kind == "progress":
            loss = math.nan if payload["loss"] is None else float(payload["loss"])
            self.entry = self.entry.model_copy(
                update={
                    "step": int(payload["step"]),
                    "steps": int(payload["steps"]),
                    "loss": loss if math.isfinite(loss) else None,
                }
            )
        if message.get("method") == "closed":
            # A session accepts nothing after it, and a checkpoint may still be uploading.
            self._last_message = {**message, "params": {}} if self.confidential else message
            return
        self._relay_pipes(message)

    def on_activity(self, stage: str | None, size: int) -> None:
        """Process a report of the agent's own work on the task, such as fetched bytes. Thread-safe."""
        self.signs += 1
        self._stages(stage, size)

    def report_restart(self, reason: str, step: int | None) -> None:
        """Report that the trainer starts again, why, and from which step.

        `step` None stands for the checkpoint that the task names.
        """
        self.signs += 1
        self._relay_pipes(custom({"kind": "restarted", "reason": reason, "step": step}))

    def save_checkpoint(self, step: int, path: Path) -> None:
        """Upload a checkpoint in the background; one that is replaced by a newer one before its turn is skipped."""
        self._newest = (step, path)
        if self._upload is None or self._upload.done():
            with activity.listening(lambda stage, size: None):  # an upload is no progress of the trainer
                self._upload = asyncio.create_task(self._upload_newest())

    def announce(self) -> None:
        """Publish the task's end to its job."""
        self._say(subjects.gradients(self.entry.hint.job_id), self.entry.report().to_body())

    async def settle(self) -> None:
        """Wait until checkpoints are uploaded and messages handed to the bus."""
        if self._upload is not None:
            await self._upload
        if self._last_message is not None:
            self._relay_pipes(self._last_message)
            self._last_message = None
        await self._outbox.join()

    async def close(self) -> None:
        """Stop all background work."""
        for task in filter(None, (self._upload, self._relay)):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _upload_newest(self) -> None:
        while self._newest is not None:
            (step, path), self._newest = self._newest, None
            if self.entry.checkpoints and step <= self.entry.checkpoints[-1].step:
                continue
            try:
                cid = await asyncio.to_thread(self._shop.store.put, path)
            except ContentError as error:
                # A lost checkpoint must not end the training; the trainer itself keeps only the newest ones.
                log.warning("checkpoint %d of task %s was not uploaded: %s", step, self.entry.hint.task_id, error)
                continue
            if self.entry.ended:
                return
            saved = SavedCheckpoint(step=step, cid=cid)
            self.update(checkpoints=[*self.entry.checkpoints, saved])
            self._say(subjects.rollback(self.entry.hint.job_id), self.entry.report().to_body())
            self._relay_pipes(custom({"kind": "checkpoint", "step": step, "cid": cid}))

    def _relay_stage(self, payload: dict[str, Any]) -> None:
        self._loop.call_soon_threadsafe(self._relay_pipes, custom(payload))

    def _relay_pipes(self, message: dict[str, Any]) -> None:
        self._say(subjects.pipes(self.entry.hint.task_id), PipesLine(pipes=message).to_body())

    def _say(self, subject: str, body: dict[str, Any]) -> None:
        self._outbox.put_nowait((subject, body))
        if self._relay is None:
            self._relay = asyncio.create_task(self._relay_in_order())

    async def _relay_in_order(self) -> None:
        while True:
            subject, body = await self._outbox.get()
            try:
                await self._shop.bus.publish(subject, body)
            except BusError as error:
                log.warning("could not publish a progress message (harmless): %s", error)
            finally:
                self._outbox.task_done()
