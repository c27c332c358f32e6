"""The coordinator's announcements on the bus: its presence during a round, and the round's checkpoint.

They are for observers. Nothing depends on them, so a message that cannot be sent is only logged.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from atlas.spec.job import TaskSpec
from node_agent.errors import BusError
from node_agent.presence.machine import own_version
from node_agent.wire import subjects
from node_agent.wire.messages import Body, CoordinatorPresence, RoundCheckpoint
from resources.jobs.registry import RoundRef

if TYPE_CHECKING:
    from node_agent.wire.bus import Bus

log = logging.getLogger(__name__)


@asynccontextmanager
async def present(bus: "Bus", ref: RoundRef, open_tasks: Callable[[], int], seconds: float) -> AsyncIterator[None]:
    """Publish the coordinator's presence now and every `seconds` while the body runs."""

    async def announce() -> None:
        while True:
            presence = CoordinatorPresence(
                job_id=ref.job_id, round=ref.round, open_tasks=open_tasks(), version=own_version()
            )
            await _publish(bus, subjects.aggregator(ref.job_id), presence)
            await asyncio.sleep(seconds)

    announcing = asyncio.create_task(announce())
    try:
        yield
    finally:
        announcing.cancel()
        with suppress(asyncio.CancelledError):
            await announcing


async def announce_checkpoint(bus: "Bus", evaluation: TaskSpec) -> None:
    """Publish the checkpoint that a round's evaluation is about: it is complete before it is evaluated."""
    base, checkpoint = evaluation.checkpoints[:2]
    found = RoundCheckpoint(job_id=evaluation.job_id, round=evaluation.round, base=base, checkpoint=checkpoint)
    await _publish(bus, subjects.model(evaluation.job_id), found)


async def _publish(bus: "Bus", subject: str, body: Body) -> None:
    try:
        await bus.publish(subject, body.to_body())
    except BusError as error:
        log.warning("could not publish an announcement (harmless): %s", error)
