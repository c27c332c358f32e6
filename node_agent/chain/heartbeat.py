"""Repeating an action: at an interval, sooner after a failure, with jitter so that nodes are not in step."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina
from stamina.instrumentation import RetryDetails

log = logging.getLogger(__name__)
Result = TypeVar("Result")
Errors = type[Exception] | tuple[type[Exception], ...]
FIRST_RETRY_SECONDS = 1.0
CHAIN_BEATS_PER_GRACE = 3


async def persist(action: Callable[[], Awaitable[Result]], on: Errors, longest: float) -> Result:
    """Retry `action` while it raises one of `on`, and return its result.

    Waits 1, 2, 4, … `longest` seconds between attempts, with jitter.
    """
    first = min(FIRST_RETRY_SECONDS, longest)
    retrying = stamina.AsyncRetryingCaller(
        attempts=None, timeout=None, wait_initial=first, wait_max=longest, wait_jitter=first
    )
    return await retrying(on, action)


async def repeat(action: Callable[[], Awaitable[None]], interval: float, on: Errors) -> None:
    """Run `action` forever, every `interval` seconds less up to a tenth; retry as `persist` does after one of `on`."""
    while True:
        await persist(action, on, interval)
        await asyncio.sleep(interval * (1 - random.random() / 10))  # noqa: S311 - jitter, not a secret


def chain_interval(heartbeat_seconds: float, contract_heartbeat_seconds: int) -> float:
    """Seconds between heartbeats on chain: two may be lost before the contract considers the node dead."""
    return min(heartbeat_seconds, contract_heartbeat_seconds / CHAIN_BEATS_PER_GRACE)


def log_retry(details: RetryDetails) -> None:
    """Log the cause of a retry, and its delay."""
    log.warning("trying again in %.1f s: %s", details.wait_for, details.caused_by)
