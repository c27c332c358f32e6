"""Repeating: failures are retried, what was not foreseen is not."""

import asyncio

import pytest
import stamina
from hypothesis import given
from hypothesis import strategies as st

from chain_bridge.errors import ChainUnreachable
from node_agent.chain.heartbeat import chain_interval, persist, repeat


@given(st.floats(0.1, 1000), st.integers(1, 1000))
def test_two_heartbeats_on_chain_may_be_lost(heartbeat_seconds: float, grace: int) -> None:
    interval = chain_interval(heartbeat_seconds, grace)
    assert interval <= heartbeat_seconds
    assert 3 * interval <= grace * (1 + 1e-9)


async def test_persist_goes_on_until_it_works() -> None:
    tries = 0

    async def action() -> str:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise ChainUnreachable("down")
        return "up"

    with stamina.set_testing(True, attempts=10):
        assert await persist(action, ChainUnreachable, 1.0) == "up"
    assert tries == 4


async def test_persist_passes_on_what_waiting_does_not_cure() -> None:
    async def action() -> None:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        await persist(action, ChainUnreachable, 1.0)


async def test_repeat_survives_failures() -> None:
    seen: asyncio.Queue[int] = asyncio.Queue()
    tries = 0

    async def action() -> None:
        nonlocal tries
        tries += 1
        if tries % 2:
            raise ChainUnreachable("down")
        await seen.put(tries)

    with stamina.set_testing(True, attempts=10):
        loop = asyncio.create_task(repeat(action, 0.001, ChainUnreachable))
        assert [await asyncio.wait_for(seen.get(), 10) for _ in range(3)] == [2, 4, 6]
        loop.cancel()
