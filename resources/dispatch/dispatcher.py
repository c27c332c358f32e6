"""The dispatcher: assigns tasks to nodes, tracks them, and collects their results."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

from atlas.aggregation.gates.refusal import Refusal
from atlas.content.store import ContentStore
from atlas.documents.manifests import Receipt
from atlas.home import AtlasHome
from atlas.ids import TaskId
from atlas.spec.job import TaskSpec
from chain_bridge.ledger import Ledger
from node_agent.wire import subjects
from node_agent.wire.messages import KeyRequest, PipesLine, TaskReport
from resources.dispatch.announcements import announce_checkpoint, present
from resources.dispatch.key_release import KeyRelease
from resources.dispatch.outcomes import TaskOutcome, TaskUpdate
from resources.dispatch.receiving import CheckUpdate
from resources.dispatch.round_drive import RoundDrive
from resources.dispatch.tools import DispatchSettings, Listener, Tools
from resources.jobs.opened import OpenJob
from resources.jobs.registry import JobRegistry
from resources.keys.key_journal import KeyJournal
from resources.keys.keyring import KeyRings

if TYPE_CHECKING:
    from node_agent.wire.bus import Bus, Handler, Message

__all__ = ["CheckUpdate", "DispatchSettings", "Dispatcher", "Refusal"]

log = logging.getLogger(__name__)


def _ignore(update: TaskUpdate) -> None:
    """Ignore an update; the default for `on_update`."""


def _no_pipes(task: TaskSpec) -> dict[str, str]:
    return {}


def _no_check(task: TaskSpec, receipt: Receipt) -> Refusal | None:
    return None


class Dispatcher:
    """Runs tasks on the fleet, over one bus connection. Callbacks run in the event loop's thread."""

    def __init__(
        self,
        ledger: Ledger,
        bus: "Bus",
        store: ContentStore,
        registry: JobRegistry,
        clock: Callable[[], float] = time.time,
        settings: DispatchSettings | None = None,
        home: AtlasHome | None = None,
    ) -> None:
        """`home` has the key rings of jobs with sealed data; None for `$ATLAS_HOME`."""
        self._home = home or AtlasHome.from_environment()
        self._tools = Tools(ledger, bus, store, registry, clock, settings or DispatchSettings())
        self._drives: dict[TaskId, RoundDrive] = {}
        self._releases: dict[str, KeyRelease] = {}
        self._subjects: set[str] = set()

    async def run(
        self,
        job: OpenJob,
        number: int,
        tasks: Sequence[TaskSpec],
        on_update: Callable[[TaskUpdate], None] = _ignore,
        pipes_env: Callable[[TaskSpec], dict[str, str]] = _no_pipes,
        check: CheckUpdate | None = None,
    ) -> AsyncGenerator[TaskOutcome, None]:
        """Yield one outcome per task as it ends. `tasks` are first attempts; attempt and resume are set here.

        A `CompletedTask` is verified, has passed `check` and is completed on chain. Results of earlier runs come at
        once, with `adopted` set. A task that cannot be done is a `LostTask`; the others continue. Ending the iteration
        early leaves leases as they are: the next run adopts them. Raises `ChainUnreachable` once the chain has not
        answered for `DispatchSettings.chain_patience_seconds`.
        """
        listener = Listener(on_update, pipes_env, check or _no_check)
        release = self._release(job, number)
        drive = RoundDrive(self._tools, job, number, tasks, listener, release.revoked if release else tuple)
        self._drives.update({task.task_id: drive for task in tasks})
        if release is not None:
            self._releases.update({task.task_id: release for task in tasks})
        try:
            await self._listen(job)
            async with self._announced(job, number, drive, tasks), aclosing(drive.outcomes()) as outcomes:
                async for outcome in outcomes:
                    yield outcome
        finally:
            for task in tasks:
                del self._drives[task.task_id]
                self._releases.pop(task.task_id, None)

    @asynccontextmanager
    async def _announced(
        self, job: OpenJob, number: int, drive: RoundDrive, tasks: Sequence[TaskSpec]
    ) -> AsyncIterator[None]:
        bus, seconds = self._tools.bus, self._tools.settings.presence_seconds
        for task in tasks:
            if task.kind == "evaluate":
                await announce_checkpoint(bus, task)
        async with present(bus, job.round(number), lambda: drive.open_tasks, seconds):
            yield

    def _release(self, job: OpenJob, number: int) -> KeyRelease | None:
        """The key release of a round's data; None if the data is not sealed."""
        name = job.spec.dataset.keyring
        if name is None:
            return None
        tools = self._tools
        rings, journal = KeyRings(self._home), KeyJournal(self._home.jobs_database, tools.clock)
        return KeyRelease(job, number, tools.ledger, tools.store, rings, name, journal)

    async def _listen(self, job: OpenJob) -> None:
        wanted: dict[str, Handler] = {
            subjects.gradients(job.job_id): self._on_report,
            subjects.rollback(job.job_id): self._on_report,
            subjects.pipes("*"): self._on_pipes,
        }
        if job.spec.dataset.keyring is not None:
            wanted[subjects.keys(job.job_id)] = self._on_key_request
        for subject, handler in wanted.items():
            if subject not in self._subjects:
                self._subjects.add(subject)
                await self._tools.bus.subscribe(subject, handler)

    async def _on_report(self, message: "Message") -> None:
        report = message.read(TaskReport)
        if drive := self._drives.get(report.task_id):
            await drive.take(message.sender, report)

    async def _on_pipes(self, message: "Message") -> None:
        task_id = TaskId(message.subject.split(".")[2])
        if drive := self._drives.get(task_id):
            drive.forward(task_id, message.sender, message.read(PipesLine).pipes)

    async def _on_key_request(self, message: "Message") -> dict[str, Any] | None:
        """Answer a key request; None for a task of another run, which that run's coordinator answers."""
        request = message.read(KeyRequest)
        release = self._releases.get(request.task_id)
        if release is None:
            return None
        return (await asyncio.to_thread(release.answer, message.sender, request)).to_body()
