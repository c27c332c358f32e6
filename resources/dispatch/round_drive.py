"""One round's tasks, from the first assignment to the last outcome.

The chain is read before every decision, so a restart, a lost answer or a duplicate message changes nothing.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from typing import Any

from atlas.documents.stored import put_document
from atlas.ids import NodeId, TaskId
from atlas.spec.job import TaskSpec
from chain_bridge.client.messages import Lease, SlotAttempt
from chain_bridge.errors import ChainUnreachable
from node_agent.wire.messages import TaskReport
from resources.dispatch import events
from resources.dispatch.leased_tasks import LeasedTask
from resources.dispatch.outage import Outage
from resources.dispatch.outcomes import Event, LostTask, TaskOutcome, TaskUpdate
from resources.dispatch.recalling import recall_results
from resources.dispatch.round_on_chain import RoundOnChain
from resources.dispatch.scheduling import able_nodes, plan_assignments
from resources.dispatch.task_reports import TaskReports
from resources.dispatch.tools import Listener, Tools
from resources.dispatch.work import Held, Step, Work, next_step, patience_of
from resources.jobs.opened import OpenJob
from resources.jobs.registry import Attempt

Leased = tuple[Work, Lease | None]


class RoundDrive:
    """Drives the tasks of one round until each has its outcome."""

    def __init__(
        self,
        tools: Tools,
        job: OpenJob,
        number: int,
        tasks: Sequence[TaskSpec],
        listener: Listener,
        revoked: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """`revoked` returns the addresses that get no key of the job's data, and therefore no work."""
        settings = tools.settings
        self._tools = tools
        self._job = job
        self._ref = job.round(number)
        self._listener = listener
        self._revoked = revoked
        self._chain = RoundOnChain(tools.ledger, tools.store, self._ref)
        self._progress_seconds = job.spec.fleet.progress_seconds
        patience = patience_of(self._progress_seconds, settings.poll_seconds, settings.answer_seconds)
        self._works = {task.task_id: Work(task, patience) for task in tasks}
        self._open = {work.slot: work for work in self._works.values()}
        self._news = asyncio.Event()
        self._reports = TaskReports(tools, self._ref, listener, self._news)
        self._outage = Outage(settings.poll_seconds, settings.longest_pause_seconds, settings.chain_patience_seconds)

    @property
    def open_tasks(self) -> int:
        """The number of tasks without an outcome."""
        return len(self._open)

    async def outcomes(self) -> AsyncGenerator[TaskOutcome, None]:
        """Yield each task's outcome when it ends; raise `ChainUnreachable` if the chain stays unreachable too long."""
        tasks = [work.draft for work in self._works.values()]
        registry, store = self._tools.registry, self._tools.store
        recalled = await asyncio.to_thread(recall_results, self._ref, tasks, registry, store)
        for task_id, result in recalled.items():
            self._works[task_id].result = result
        while self._open:
            for outcome in await self._tick():
                yield outcome
            if self._open:
                await self._pause()

    async def take(self, sender: str, report: TaskReport) -> None:
        """Process a report that was not requested."""
        if work := self._works.get(report.task_id):
            await self._reports.take(work, sender, report)

    def forward(self, task_id: TaskId, sender: str, message: dict[str, Any]) -> None:
        """Process a Dagster Pipes message of a trainer."""
        if work := self._works.get(task_id):
            self._reports.forward(work, sender, message)

    async def _tick(self) -> list[TaskOutcome]:
        ended: list[TaskOutcome] = []
        now = self._tools.clock()
        # Without the message server no progress can be reported, so only time with a connection counts.
        connected = self._tools.bus.is_connected
        still = [work for work in self._open.values() if connected and work.stands_still(now)]
        if self._outage.may_ask(now):
            try:
                await self._decide(ended, still)
                self._outage.over()
            except ChainUnreachable as error:  # a transaction may have landed; the next read of the chain shows it
                self._outage.endure(error, now)
        await self._reports.ask(self._open.values())
        return ended

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._tools.settings.poll_seconds):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    async def _decide(self, ended: list[TaskOutcome], still: Sequence[Work]) -> None:
        leases = await asyncio.to_thread(self._chain.leases)
        for work in still:
            if work.underway:
                work.failed = f"no progress for {work.patience:g} s"
        todo: dict[Step, list[Leased]] = defaultdict(list)
        for work in list(self._open.values()):
            lease, leased = leases.get(work.slot, (None, None))
            step = next_step(work, lease, leased)
            if step is Step.TAKE_OVER and lease is not None and leased is not None:
                await self._take_over(work, lease, leased)
            elif step is Step.DELIVER and work.result is not None:
                self._end(work, work.result, ended)
            elif step is Step.GIVE_UP:
                reason = work.failed or "on chain, its slot is completed by another task"
                self._end(work, LostTask(work.draft, reason), ended)
            else:
                todo[step].append((work, lease))
        await self._complete(todo[Step.COMPLETE])
        released = await self._release(todo[Step.RELEASE])
        await self._assign(todo[Step.ASSIGN] + released, ended)

    def _end(self, work: Work, outcome: TaskOutcome, ended: list[TaskOutcome]) -> None:
        del self._open[work.slot]
        ended.append(outcome)

    async def _take_over(self, work: Work, lease: Lease, leased: LeasedTask) -> None:
        address = await asyncio.to_thread(self._chain.address, lease.node)
        await self._begin(work, Held(lease.node, address, leased.task, leased.cid))
        self._notify("adopted", leased.task, events.adopted(leased.task, lease.node), lease.node)

    async def _begin(self, work: Work, held: Held) -> None:
        task = held.task
        attempt = Attempt(task.slot, task.attempt, task.task_id, held.task_cid, held.node_id)
        await asyncio.to_thread(self._tools.registry.record_assigned, self._ref, attempt)
        work.begin(held)

    def _report_assigned(self, held: Held, before: Lease | None) -> None:
        task, node, step = held.task, held.node_id, held.step
        if before is None:
            self._notify("assigned", task, events.assigned(task, node), node)
        else:
            self._notify("moved", task, events.moved(task, before.node, node, step), node, step)

    def _notify(
        self, event: Event, task: TaskSpec, text: str, node: NodeId | None = None, step: int | None = None
    ) -> None:
        self._listener.on_update(TaskUpdate(task, event, text, node, step=step))

    async def _complete(self, leased: list[Leased]) -> None:
        items = [SlotAttempt(work.slot, lease.attempt) for work, lease in leased if lease is not None]
        if items:
            # Refused items were ended by somebody else; the next read of the chain shows their state.
            await asyncio.to_thread(self._chain.complete, items)
            self._news.set()

    async def _release(self, leased: list[Leased]) -> list[Leased]:
        items = [SlotAttempt(work.slot, lease.attempt) for work, lease in leased if lease is not None]
        refused = await asyncio.to_thread(self._chain.release, items) if items else {}
        return [(work, lease) for work, lease in leased if work.slot not in refused]

    async def _assign(self, leased: list[Leased], ended: list[TaskOutcome]) -> None:
        previous: dict[int, Lease | None] = {}
        for work, lease in leased:
            await self._mark_lost(work, lease)
            if reason := work.given_up(self._job.spec.fleet.max_attempts):
                self._end(work, LostTask(work.draft, reason, "repeats" if work.failed_alike else None), ended)
            else:
                previous[work.slot] = lease
        if not previous:
            return
        over = await asyncio.to_thread(self._chain.over)
        if over is not None:
            for slot in previous:
                self._end(self._open[slot], LostTask(self._open[slot].draft, over, "ended"), ended)
            return
        await self._hand_out(previous, ended)

    async def _hand_out(self, previous: dict[int, Lease | None], ended: list[TaskOutcome]) -> None:
        available = await asyncio.to_thread(self._chain.available_nodes, self._tools.clock())
        revoked = await asyncio.to_thread(self._revoked)
        nodes = [node for node in available.nodes if node.owner not in revoked]
        excluded_nodes = {slot: self._open[slot].excluded_nodes for slot in previous}
        only = {slot: owner for slot in previous if (owner := self._job.only_node(slot)) is not None}
        plan = plan_assignments(list(previous), nodes, excluded_nodes, only)
        owners = {node.id: node.owner for node in nodes}
        held = {}
        for slot, node in plan:
            lease = previous[slot]
            attempt = lease.attempt + 1 if lease else 1
            held[slot] = await asyncio.to_thread(self._next, self._open[slot], attempt, node, owners[node])
        refused = await asyncio.to_thread(self._chain.assign, held.values())
        for slot, lease in previous.items():
            work = self._open[slot]
            if slot in held and slot not in refused:
                await self._begin(work, held[slot])
                self._report_assigned(held[slot], lease)
            elif slot in refused:
                self._wait(work, f"the contract refused it: {refused[slot]}", ended)
            elif not able_nodes(nodes, only.get(slot)):
                self._wait(work, available.why_none(only.get(slot)), ended)
            else:
                work.waiting_since = None  # the nodes are only full for now, so the wait has no limit

    def _next(self, work: Work, attempt: int, node: NodeId, owner: str) -> Held:
        """The next attempt, which resumes from the newest training checkpoint that is still in the store."""
        saved = self._tools.registry.newest_checkpoint(work.draft.task_id)
        if saved is not None and not self._tools.store.has(saved.cid):
            saved = None
        task = work.draft.model_copy(update={"attempt": attempt, "resume": saved.cid if saved else None})
        return Held(node, owner, task, put_document(self._tools.store, task), saved.step if saved else None)

    async def _mark_lost(self, work: Work, lease: Lease | None) -> None:
        """Mark the lease's attempt as lost, once."""
        if lease is None or lease.attempt == work.last_lost_attempt:
            return
        reason = work.failed or _why_lost(lease)
        await asyncio.to_thread(self._tools.registry.record_lost, self._ref, work.slot, lease.attempt, reason)
        attempt = work.draft.model_copy(update={"attempt": lease.attempt})
        if work.refusal is not None:
            self._notify("refused", attempt, events.refused(attempt, lease.node, work.refusal), lease.node)
        else:
            self._notify("lost", attempt, events.lost(attempt, lease.node, reason), lease.node)
        work.mark_lost(lease, reason)

    def _wait(self, work: Work, reason: str, ended: list[TaskOutcome]) -> None:
        now, patience = self._tools.clock(), self._tools.settings.patience_seconds
        if work.waiting_since is None:
            work.waiting_since = now
            self._notify("waiting", work.draft, events.waiting(work.draft, patience, reason))
        elif now - work.waiting_since > patience:
            what = f"waited {patience:g} s, because {reason}"
            self._end(work, LostTask(work.draft, f"{what}; before that: {work.reason}" if work.reason else what), ended)


def _why_lost(lease: Lease) -> str:
    if lease.state == "released":
        return "the node released it"
    return "its node sent no heartbeat in time, or the lease ran out"
