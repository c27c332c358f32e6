"""The bus: NATS with every message signed by its sender's chain key and checked before a handler sees it."""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import ValidationError

from atlas.documents.document import describe_validation
from atlas.signing import Signer
from node_agent.errors import BusError, BusTimeout, BusUnreachable, RefusedMessage
from node_agent.wire.clock_watch import ClockWatch
from node_agent.wire.envelope import Envelope, ReplayGuard, open_envelope, seal
from node_agent.wire.messages import Body

log = logging.getLogger(__name__)
BodyT = TypeVar("BodyT", bound=Body)
CONNECT_SECONDS = 5.0


@dataclass(frozen=True)
class Message:
    """A message with a valid signature, age and nonce. The handler checks whether its sender is authorized."""

    subject: str
    sender: str
    body: dict[str, Any]

    def read(self, shape: type[BodyT]) -> BodyT:
        """The body as `shape`; raises `RefusedMessage` that names each bad field."""
        try:
            return shape.model_validate(self.body)
        except ValidationError as error:
            raise RefusedMessage(
                f"A message of {self.sender} on {self.subject} is not a valid {shape.__name__}: "
                f"{describe_validation(error)}"
            ) from error


Handler = Callable[[Message], Awaitable[dict[str, Any] | None]]


class Bus:
    """One connection. It reconnects by itself; messages published meanwhile are kept in memory, up to 2 MiB."""

    def __init__(self, client: Client, signer: Signer, clock: Callable[[], float]) -> None:
        self._client = client
        self._signer = signer
        self._clock = clock
        self._guard = ReplayGuard(started_at=clock())
        self.clocks = ClockWatch(clock)
        self.refused = 0

    @classmethod
    async def connect(cls, url: str, signer: Signer, clock: Callable[[], float] = time.time) -> Self:
        """Connect to the NATS server at `url`; raises `BusUnreachable` after five seconds."""
        client = Client()
        try:
            await asyncio.wait_for(
                client.connect(
                    url,
                    name=signer.address,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=random.randint(1, 3),  # noqa: S311 - jitter, not a secret
                    connect_timeout=int(CONNECT_SECONDS),
                    error_cb=_log_error,
                    disconnected_cb=partial(_log_disconnected, client),
                    reconnected_cb=_log_reconnected,
                ),
                CONNECT_SECONDS,
            )
        except (OSError, TimeoutError, nats.errors.Error, ValueError) as error:
            await client.close()
            raise BusUnreachable(
                f"No message server answers at {_without_password(url)} ({client.last_error or error!r}). "
                "Check that the network is up and that `bus` in the settings is its address."
            ) from error
        return cls(client, signer, clock)

    @property
    def is_connected(self) -> bool:
        """Whether the bus is connected to the server now."""
        return bool(self._client.is_connected)

    async def publish(self, subject: str, body: dict[str, Any]) -> None:
        """Sign and send; raises `BusError` when the body is too large or the connection was closed."""
        await self._send(self._seal(subject, body))

    async def subscribe(self, subject: str, handler: Handler) -> None:
        """Pass each genuine, fresh message to `handler`, in order; a mapping that it returns is the signed answer.

        Errors of a handler are logged, and its message gets no answer. `*` stands for one part of a subject. The server
        has the subscription on return; raises `BusUnreachable` when it does not answer.
        """

        async def on_message(raw: Msg) -> None:
            try:
                envelope = self._open(raw)
                message = Message(envelope.subject, envelope.sender, envelope.body)
                answer = await handler(message)
                if answer is not None and raw.reply:
                    await self._send(self._seal(raw.reply, answer, in_reply_to=envelope.nonce))
            except RefusedMessage as error:
                self._refuse(error)
            except Exception:
                # One bad message must not end the subscription.
                log.exception("the handler of %s failed", raw.subject)

        try:
            subscription = await self._client.subscribe(subject, cb=on_message)
        except (nats.errors.Error, OSError) as error:
            raise BusError(f"Cannot subscribe to {subject}: {error}.") from error
        try:
            # nats-py sends the ping of a flush before queued data, so only the second flush follows that data.
            await self._client.flush()
            await self._client.flush()
        except (nats.errors.Error, OSError) as error:
            await subscription.unsubscribe()
            raise BusUnreachable(f"The message server did not accept a subscription to {subject}: {error}.") from error

    async def request(self, subject: str, body: dict[str, Any], timeout: float, sender: str | None = None) -> Message:
        """Send a request and wait `timeout` seconds for a genuine answer to it, from `sender` when one is named.

        Answers that are not genuine are counted and ignored. Raises `BusTimeout`, at once when the subject has no
        subscriber.
        """
        inbox = self._client.new_inbox()
        answers = await self._client.subscribe(inbox)
        try:
            request = self._seal(subject, body)
            await self._send(request, reply=inbox)
            async with asyncio.timeout(timeout):
                while True:
                    raw = await answers.next_msg(timeout=None)
                    answer = self._answer_to(request, raw, sender)
                    if answer is not None:
                        return answer
        except TimeoutError as error:
            raise BusTimeout(f"No valid answer on {subject} arrived within {timeout:g} s.") from error
        finally:
            await answers.unsubscribe()

    def _answer_to(self, request: Envelope, raw: Msg, sender: str | None) -> Message | None:
        if not raw.data and (raw.headers or {}).get("Status") == "503":
            raise BusTimeout(f"No process subscribes to {request.subject}.")
        try:
            envelope = self._open(raw)
            if envelope.in_reply_to != request.nonce:
                raise RefusedMessage(f"An answer by {envelope.sender} belongs to another request.")
            if sender is not None and envelope.sender != sender:
                raise RefusedMessage(f"{envelope.sender} answered for {sender} on {request.subject}.")
        except RefusedMessage as error:
            self._refuse(error)
            return None
        return Message(request.subject, envelope.sender, envelope.body)

    async def close(self) -> None:
        """Send queued messages and close the connection."""
        if self._client.is_connected:
            await self._client.drain()
        else:
            await self._client.close()

    def _seal(self, subject: str, body: dict[str, Any], in_reply_to: str | None = None) -> Envelope:
        return seal(self._signer, subject, body, self._clock(), secrets.token_hex(16), in_reply_to)

    def _open(self, raw: Msg) -> Envelope:
        envelope = open_envelope(raw.data, raw.subject)
        self.clocks.note(envelope.sender, envelope.time)
        self._guard.admit(envelope, self._clock())
        return envelope

    def _refuse(self, error: RefusedMessage) -> None:
        self.refused += 1
        log.warning("refused a message: %s", error)

    async def _send(self, envelope: Envelope, reply: str = "") -> None:
        try:
            await self._client.publish(envelope.subject, envelope.to_bytes(), reply=reply)
        except (nats.errors.Error, OSError) as error:
            raise BusError(f"A message on {envelope.subject} was not sent: {error}.") from error


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


async def _log_error(error: Exception) -> None:
    log.warning("bus: %r", error)


async def _log_disconnected(client: Client) -> None:
    if not client.is_closed:  # closing the connection is not worth a warning
        log.warning("bus: disconnected")


async def _log_reconnected() -> None:
    log.info("bus: connected again")
