"""The bus over a real nats-server: only genuine, fresh messages on their own subject reach a handler."""

import asyncio
import json
from typing import Any

import nats
import pytest
import rfc8785

from atlas.signing import KeySigner
from node_agent.errors import BusError, BusTimeout, BusUnreachable
from node_agent.wire.bus import Bus, Message
from node_agent.wire.envelope import seal
from node_agent.wire.messages import TaskReport

# Each test starts servers of its own.
pytestmark = pytest.mark.slow


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Inbox:
    """A handler that keeps what reaches it."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Message] = asyncio.Queue()

    async def __call__(self, message: Message) -> None:
        await self.messages.put(message)

    async def next(self) -> Message:
        return await asyncio.wait_for(self.messages.get(), 10)


@pytest.fixture
async def listener(nats_server: Any, alice: KeySigner):
    """Alice listens on atlas.test at time 1000; a raw connection can send whatever it likes."""
    bus = await Bus.connect(nats_server.url, alice, clock=Clock(1000.0))
    inbox = Inbox()
    await bus.subscribe("atlas.test", inbox)
    raw = await nats.connect(nats_server.url)
    yield bus, inbox, raw
    await raw.close()
    await bus.close()


async def test_a_published_message_arrives_with_its_sender(nats_server: Any, listener: Any, bob: KeySigner) -> None:
    _, inbox, _ = listener
    sender = await Bus.connect(nats_server.url, bob, clock=Clock(1000.0))
    await sender.publish("atlas.test", {"n": 1})
    assert await inbox.next() == Message("atlas.test", bob.address, {"n": 1})
    await sender.close()


def unsigned(bob: KeySigner) -> list[bytes]:
    return [seal(bob, "atlas.test", {}, 1000.0, "1" * 32).model_copy(update={"signature": ""}).to_bytes()]


def altered(bob: KeySigner) -> list[bytes]:
    sealed = json.loads(seal(bob, "atlas.test", {"pay": 1}, 1000.0, "1" * 32).to_bytes())
    return [rfc8785.dumps({**sealed, "body": {"pay": 2}})]


def stale(bob: KeySigner) -> list[bytes]:
    return [seal(bob, "atlas.test", {}, 939.0, "1" * 32).to_bytes()]


def from_the_future(bob: KeySigner) -> list[bytes]:
    return [seal(bob, "atlas.test", {}, 1061.0, "1" * 32).to_bytes()]


def wrong_subject(bob: KeySigner) -> list[bytes]:
    return [seal(bob, "atlas.other", {}, 1000.0, "1" * 32).to_bytes()]


def no_envelope(bob: KeySigner) -> list[bytes]:
    return [b"", b"\xff\x00", b"{}"]


@pytest.mark.parametrize("attack", [unsigned, altered, stale, from_the_future, wrong_subject, no_envelope])
async def test_what_is_not_genuine_never_reaches_a_handler(attack: Any, listener: Any, bob: KeySigner) -> None:
    bus, inbox, raw = listener
    attacks = attack(bob)
    for data in attacks:
        await raw.publish("atlas.test", data)
    await raw.publish("atlas.test", seal(bob, "atlas.test", {"genuine": True}, 1000.0, "2" * 32).to_bytes())
    assert (await inbox.next()).body == {"genuine": True}, "the first that arrives is the genuine one"
    assert bus.refused == len(attacks)


async def test_a_replayed_message_arrives_once(listener: Any, bob: KeySigner) -> None:
    bus, inbox, raw = listener
    data = seal(bob, "atlas.test", {"n": 1}, 1000.0, "1" * 32).to_bytes()
    for message in (data, data, seal(bob, "atlas.test", {"n": 2}, 1000.0, "2" * 32).to_bytes()):
        await raw.publish("atlas.test", message)
    assert [(await inbox.next()).body["n"] for _ in range(2)] == [1, 2]
    assert bus.refused == 1


async def test_a_failing_handler_does_not_end_its_subscription(nats_server: Any, listener: Any) -> None:
    bus, _, _ = listener
    seen: asyncio.Queue[int] = asyncio.Queue()

    async def fragile(message: Message) -> None:
        await seen.put(message.body["n"])
        if message.body["n"] == 1:
            raise RuntimeError("broken")
        message.read(TaskReport)

    await bus.subscribe("atlas.fragile", fragile)
    for n in (1, 2, 3):
        await bus.publish("atlas.fragile", {"n": n})
    assert [await asyncio.wait_for(seen.get(), 10) for _ in range(3)] == [1, 2, 3]


async def test_a_request_gets_a_signed_answer(nats_server: Any, alice: KeySigner, bob: KeySigner) -> None:
    server = await Bus.connect(nats_server.url, alice)
    client = await Bus.connect(nats_server.url, bob)

    async def double(message: Message) -> dict[str, Any]:
        return {"n": message.body["n"] * 2}

    await server.subscribe("atlas.double", double)
    answers = await asyncio.gather(*(client.request("atlas.double", {"n": n}, timeout=10) for n in range(20)))
    assert [answer.body["n"] for answer in answers] == [2 * n for n in range(20)]
    assert {answer.sender for answer in answers} == {alice.address}
    await client.close()
    await server.close()


async def test_forged_answers_are_passed_over(nats_server: Any, alice: KeySigner, bob: KeySigner) -> None:
    """An eavesdropper answers first: with noise, with an answer to another request, and with its own key."""
    client = await Bus.connect(nats_server.url, bob, clock=Clock(1000.0))
    raw = await nats.connect(nats_server.url)
    mallory = KeySigner(b"\x03" * 32, "atlas")

    async def answer_badly_then_well(message: Any) -> None:
        nonce = json.loads(message.data)["nonce"]
        forged = [
            b"noise",
            seal(alice, message.reply, {"n": 1}, 1000.0, "1" * 32, in_reply_to="9" * 32).to_bytes(),
            seal(mallory, message.reply, {"n": 2}, 1000.0, "2" * 32, in_reply_to=nonce).to_bytes(),
            seal(alice, message.reply, {"n": 3}, 1000.0, "3" * 32, in_reply_to=nonce).to_bytes(),
        ]
        for data in forged:
            await raw.publish(message.reply, data)

    await raw.subscribe("atlas.question", cb=answer_badly_then_well)
    await raw.flush()
    await raw.flush()
    answer = await client.request("atlas.question", {}, timeout=10, sender=alice.address)
    assert answer == Message("atlas.question", alice.address, {"n": 3})
    assert client.refused == 3
    await raw.close()
    await client.close()


async def test_a_request_that_nobody_hears_ends_at_once(nats_server: Any, bob: KeySigner) -> None:
    client = await Bus.connect(nats_server.url, bob)
    with pytest.raises(BusTimeout, match=r"No process subscribes to atlas\.empty"):
        await client.request("atlas.empty", {}, timeout=600)
    await client.close()


async def test_a_request_that_nobody_answers_times_out(nats_server: Any, alice: KeySigner, bob: KeySigner) -> None:
    server = await Bus.connect(nats_server.url, alice)
    client = await Bus.connect(nats_server.url, bob)
    await server.subscribe("atlas.silent", Inbox())
    with pytest.raises(BusTimeout, match="valid answer"):
        await client.request("atlas.silent", {}, timeout=0.2)
    await client.close()
    await server.close()


async def test_subscriptions_survive_a_restart_of_the_server(
    nats_server: Any, alice: KeySigner, bob: KeySigner
) -> None:
    server = await Bus.connect(nats_server.url, alice)
    client = await Bus.connect(nats_server.url, bob)

    async def answer(message: Message) -> dict[str, Any]:
        return {"ok": True}

    await server.subscribe("atlas.question", answer)
    nats_server.stop()
    nats_server.start()
    for _ in range(40):
        try:
            reply = await client.request("atlas.question", {}, timeout=1)
            break
        except BusError:
            await asyncio.sleep(0.25)
    assert reply.body == {"ok": True}
    await client.close()
    await server.close()


async def test_no_server_is_said_plainly_and_without_the_password(alice: KeySigner) -> None:
    with pytest.raises(BusUnreachable, match=r"nats://127\.0\.0\.1:1 ") as caught:
        await Bus.connect("nats://user:secret@127.0.0.1:1", alice)
    assert "secret" not in str(caught.value)


async def test_a_body_that_is_too_large_is_an_error(nats_server: Any, alice: KeySigner) -> None:
    bus = await Bus.connect(nats_server.url, alice)
    with pytest.raises(BusError, match="was not sent"):
        await bus.publish("atlas.test", {"text": "x" * 2_000_000})
    await bus.close()
