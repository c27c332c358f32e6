"""The nodes' clocks, from the times in their signed heartbeats."""

import asyncio
import time
from collections.abc import Callable

import nats
import nats.errors
from nats.aio.msg import Msg

from atlas.clocks import MOST_SECONDS, describe_difference
from atlas.counts import counted
from atlas_pipelines.doctor.finding import Finding
from node_agent.errors import RefusedMessage
from node_agent.wire import subjects
from node_agent.wire.envelope import open_envelope

CONNECT_SECONDS = 3


def listen_to_nodes(url: str, seconds: float, clock: Callable[[], float] = time.time) -> list[Finding]:
    """Compare our clock with that of every node that sends a heartbeat within `seconds`."""
    try:
        heard = asyncio.run(_heartbeats(url, seconds, clock))
    except (OSError, TimeoutError, nats.errors.Error):
        return []  # `check_bus` reports a message server that does not answer
    wrong = [
        Finding("clock", "failed", describe_difference(here, there, f"that of node {name}"))
        for name, (here, there) in sorted(heard.items())
        if abs(here - there) > MOST_SECONDS
    ]
    if not heard:
        return [Finding("clock", "warning", f"No node sent a heartbeat within {seconds:g} s. Listen for longer.")]
    right = len(heard) - len(wrong)
    return [*wrong, Finding("clock", "ok", f"{right} of {counted(len(heard), 'node clock')} agree with this clock.")]


async def _heartbeats(url: str, seconds: float, clock: Callable[[], float]) -> dict[str, tuple[float, float]]:
    """For each node (its number and address): our time and the node's time at its last heartbeat."""
    heard: dict[str, tuple[float, float]] = {}

    async def on_message(message: Msg) -> None:
        try:
            envelope = open_envelope(message.data, message.subject)
        except RefusedMessage:
            return  # not a node's
        number = message.subject.split(".")[2]
        heard[f"{number} ({envelope.sender})"] = clock(), envelope.time

    async with asyncio.timeout(CONNECT_SECONDS):  # the library repeats the first attempt for two minutes
        client = await nats.connect(url, connect_timeout=CONNECT_SECONDS, allow_reconnect=False)
    try:
        await client.subscribe(subjects.heartbeat("*"), cb=on_message)
        await asyncio.sleep(seconds)
    finally:
        await client.close()
    return heard
