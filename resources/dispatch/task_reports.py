"""Nodes' reports on their tasks: requested, checked against the attempt that the node holds, and processed."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from atlas.aggregation.gates.refusal import Refusal
from atlas.unexpected import one_line
from node_agent.errors import BusError, FailureKind
from node_agent.tasks.progress_messages import is_sign as is_sign_message
from node_agent.tasks.progress_messages import payload_of
from node_agent.wire import subjects
from node_agent.wire.messages import AssignHint, TaskReport
from resources.dispatch import events
from resources.dispatch.outcomes import CompletedTask, TaskUpdate
from resources.dispatch.receiving import receive_result
from resources.dispatch.tools import Listener, Tools
from resources.dispatch.work import Held, Work, is_sign
from resources.jobs.registry import RoundRef

log = logging.getLogger(__name__)


class TaskReports:
    """The bus side of a run. `news` is set when a report calls for a decision."""

    def __init__(self, tools: Tools, ref: RoundRef, listener: Listener, news: asyncio.Event) -> None:
        self._tools = tools
        self._ref = ref
        self._listener = listener
        self._news = news

    async def ask(self, works: Iterable[Work]) -> None:
        """Poll the node of every task that is under way, unless it was polled within the last 0.9 `poll_seconds`.

        The request is also the hint that announces a task to its node, and announces it again after a restart.
        """
        now = self._tools.clock()
        due = [
            work
            for work in works
            if work.underway and not 0 <= now - work.asked_at < 0.9 * self._tools.settings.poll_seconds
        ]
        for work in due:
            work.asked_at = now
        await asyncio.gather(*(self._ask(work, work.held) for work in due if work.held is not None))

    async def _ask(self, work: Work, held: Held) -> None:
        hint = AssignHint(
            task=held.task_cid,
            task_id=held.task.task_id,
            job_id=held.task.job_id,
            round=held.task.round,
            slot=held.task.slot,
            attempt=held.task.attempt,
            pipes=self._listener.pipes_env(held.task),
        )
        subject, seconds = subjects.assign(held.node_id), self._tools.settings.answer_seconds
        try:
            answer = await self._tools.bus.request(subject, hint.to_body(), seconds, sender=held.address)
            await self.take(work, answer.sender, answer.read(TaskReport))
        except BusError as error:
            log.info("node %d did not answer about task %s: %s", held.node_id, hint.task_id, error)
            if problem := self._tools.bus.clocks.problem(held.address):
                self._conclude(work, held, failed=f"the clock of its node is wrong: {problem}")

    async def take(self, work: Work, sender: str, report: TaskReport) -> None:
        """Process a report, requested or not. A report on another attempt, or by another node, is refused."""
        held = work.held
        if held is None or not held.fits(sender, report):
            log.info("refused a report by %s on attempt %d of task %s", sender, report.attempt, report.task_id)
            return
        if not work.underway or work.judging:
            return
        if is_sign(report, work.seen, work.reports_stages):
            work.take_sign()
        await self._keep_checkpoint(held, report)
        if report.state == "completed":
            await self._judge(work, held, report)
        elif report.state in ("failed", "paused"):
            self._conclude(work, held, failed=_reason(report), kind=report.failure)
        elif report != work.seen:
            work.seen = report
            share = f"step {report.step} of {report.steps}" if report.steps else report.state
            self._notify(held, "progress", f"{_name(held)}: {share}", report)

    def forward(self, work: Work, sender: str, message: dict[str, Any]) -> None:
        """Forward a Dagster Pipes message, if it comes from the node that holds the task."""
        held = work.held
        if held is None or held.address != sender:
            return
        if is_sign_message(message):
            work.take_sign()
        payload = payload_of(message)
        work.reports_stages |= payload.get("kind") == "stage"
        if payload.get("kind") == "restarted":
            work.take_sign()
            self._report_restart(held, payload)
        else:
            self._listener.on_update(TaskUpdate(held.task, "message", _name(held), held.node_id, message=message))

    def _report_restart(self, held: Held, payload: dict[str, Any]) -> None:
        reason, step = payload.get("reason"), payload.get("step")
        reason = reason if isinstance(reason, str) else "its trainer was restarted"
        step = step if isinstance(step, int) and 0 <= step < 2**53 else None
        text = events.restarted(held.task, held.node_id, reason, step)
        self._listener.on_update(TaskUpdate(held.task, "restarted", text, held.node_id, step=step))

    async def _keep_checkpoint(self, held: Held, report: TaskReport) -> None:
        saved, registry = report.checkpoint, self._tools.registry
        if saved is not None and await asyncio.to_thread(registry.record_checkpoint, report.task_id, saved):
            self._notify(held, "checkpoint", f"{_name(held)}: checkpoint of step {saved.step} is saved", report)

    async def _judge(self, work: Work, held: Held, report: TaskReport) -> None:
        work.judging = True
        try:
            found = await asyncio.to_thread(receive_result, held, report, self._tools.store, self._listener.check)
            await asyncio.to_thread(self._record, held, report, found)
            if isinstance(found, Refusal):
                reason = f"its result was refused by gate {found.gate}: {found.reason}"
                self._conclude(work, held, failed=reason, refusal=found)
            elif work.held is held:
                work.result = found
                self._news.set()
        finally:
            work.judging = False

    def _record(self, held: Held, report: TaskReport, found: CompletedTask | Refusal) -> None:
        registry, place = self._tools.registry, (self._ref, held.task.slot, held.task.attempt)
        if isinstance(found, Refusal):
            registry.record_refused(*place, found.gate, found.reason, report.adapter)
        else:
            registry.record_completed(*place, found.receipt_cid, found.result)

    def _conclude(
        self,
        work: Work,
        held: Held,
        failed: str,
        refusal: Refusal | None = None,
        kind: FailureKind | None = None,
    ) -> None:
        if work.held is held:  # the attempt may have been lost while its result was read
            work.failed, work.refusal, work.kind = failed, refusal, kind
            self._news.set()

    def _notify(self, held: Held, event: Any, text: str, report: TaskReport) -> None:
        self._listener.on_update(TaskUpdate(held.task, event, text, held.node_id, report=report))


def _reason(report: TaskReport) -> str:
    """Why a node's task failed, on one line: this untrusted text goes into tables, manifests and terminals."""
    return one_line(report.error or "") or f"the node reports it as {report.state}"


def _name(held: Held) -> str:
    return f"{events.name_of(held.task)}, attempt {held.task.attempt}, node {held.node_id}"
