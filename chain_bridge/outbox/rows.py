"""The entries of an outbox: messages and their outcomes."""

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import Any, Literal

from chain_bridge.client.failures import explain
from chain_bridge.client.messages import Tx
from chain_bridge.errors import ChainError

State = Literal["waiting", "signed", "landed", "refused", "withdrawn", "orphaned"]
# Messages that can succeed at most once: recorded twice, they become one entry. `submit_round` is absent, because a
# round may be rolled back and submitted again with the same content.
_ONCE = frozenset(
    {
        "create_job",
        "top_up",
        "cancel_job",
        "close_job",
        "assign_batch",
        "complete_batch",
        "release_batch",
        "settle",
        "claim_abandoned",
        "register_model",
    }
)
_ONE_TIME = "one-time:"
_CONTENT = "content:"


@dataclass(frozen=True)
class OutboxEntry:
    """A recorded message.

    `waiting`: not sent · `signed`: in a transaction that was or is about to be broadcast · `landed`: it is in a block,
    see `tx` · `refused`: the chain refused it, see `error` · `withdrawn`: the caller got an error, and it will not be
    sent · `orphaned`: recorded for a chain that was reset, or for a contract that was replaced.
    """

    id: int
    contract: str
    key: str
    name: str
    body: Any
    funds: int
    state: State
    recorded_at: float
    tx: Tx | None
    log: str
    codespace: str
    code: int
    tries: int
    alone: bool

    @property
    def decided(self) -> bool:
        """Whether the outcome is final."""
        return self.state not in ("waiting", "signed")

    @property
    def error(self) -> ChainError | None:
        """The error of a refused entry, else None."""
        return explain(self.log, self.codespace, self.code) if self.state == "refused" else None

    def outcome(self) -> Tx:
        """The entry's transaction; raises the error of a refused entry, and `ChainError` when there is no outcome."""
        if self.error is not None:
            raise self.error
        if self.tx is None:
            raise ChainError(f"The message {self.name} under {self.key} is {self.state}: {self.log or 'no outcome'}.")
        return self.tx


@dataclass(frozen=True)
class Backlog:
    """The number of messages by state; `oldest_at` is when the oldest undecided one was recorded, in unix seconds."""

    waiting: int
    signed: int
    refused: int
    orphaned: int
    oldest_at: float | None

    @property
    def undecided(self) -> int:
        """The number of messages whose outcome is not final."""
        return self.waiting + self.signed

    def age(self, now: float) -> float:
        """The age of the oldest undecided message in seconds; 0 when there is none."""
        return 0.0 if self.oldest_at is None else max(0.0, now - self.oldest_at)


def content_key(name: str, body: Any, funds: int) -> str | None:
    """The key of a message that can succeed at most once; None for messages that may be repeated on purpose."""
    if name not in _ONCE:
        return None
    return _CONTENT + hashlib.sha256(f"{name} {canonical(body)} {funds}".encode()).hexdigest()


def one_time_key(name: str) -> str:
    """A key that no other message has."""
    return f"{_ONE_TIME}{name}:{uuid.uuid4().hex}"


def is_one_time(key: str) -> bool:
    """Whether this is a one-time key, whose outcome cannot be queried later."""
    return key.startswith(_ONE_TIME)


def is_own_key(key: str) -> bool:
    """Whether the outbox makes keys of this form itself."""
    return key.startswith((_ONE_TIME, _CONTENT))


def canonical(body: Any) -> str:
    """The canonical JSON text of a message."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"))
