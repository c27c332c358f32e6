"""What an outbox holds: messages, and what became of each."""

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import Any, Literal

from chain_bridge.client.failures import explain
from chain_bridge.client.messages import Tx
from chain_bridge.errors import ChainError

State = Literal["waiting", "signed", "landed", "refused", "withdrawn", "orphaned"]
# Messages that can succeed once at most, whatever comes after: recorded twice, they are one. A round may be rolled
# back and submitted again word for word, so `submit_round` is not among them.
_ONCE = frozenset(
    {
        "create_job",
        "top_up",
        "cancel_job",
        "close_job",
        "assign_batch",
        "reassign_batch",
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
class Entry:
    """A recorded message.

    `waiting`: not sent · `signed`: in a transaction that was or is about to be handed over · `landed`: it happened,
    `tx` tells how · `refused`: the chain refused it, `error` tells why · `withdrawn`: its caller was told that it did
    not happen · `orphaned`: it was meant for a chain or contract that is gone.
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
        """Whether nothing will become of it any more."""
        return self.state not in ("waiting", "signed")

    @property
    def error(self) -> ChainError | None:
        """What its refusal means."""
        return explain(self.log, self.codespace, self.code) if self.state == "refused" else None

    def outcome(self) -> Tx:
        """What it did; raises what its refusal means, and `ChainError` when nothing came of it."""
        if self.error is not None:
            raise self.error
        if self.tx is None:
            raise ChainError(f"The message {self.name} under {self.key} is {self.state}: {self.log or 'no outcome'}.")
        return self.tx


@dataclass(frozen=True)
class Backlog:
    """How many messages wait, are under way, were refused or set aside; `oldest_at` is when the first undecided one
    was recorded, in unix seconds.
    """

    waiting: int
    signed: int
    refused: int
    orphaned: int
    oldest_at: float | None

    @property
    def undecided(self) -> int:
        """Messages that are still to land."""
        return self.waiting + self.signed

    def age(self, now: float) -> float:
        """Seconds that the oldest undecided message is old; 0 when there is none."""
        return 0.0 if self.oldest_at is None else max(0.0, now - self.oldest_at)


def content_key(name: str, body: Any, funds: int) -> str | None:
    """The key of a message that can succeed once at most; None for others, whose repetition means something."""
    if name not in _ONCE:
        return None
    return _CONTENT + hashlib.sha256(f"{name} {canonical(body)} {funds}".encode()).hexdigest()


def one_time_key(name: str) -> str:
    """A key that no other message has."""
    return f"{_ONE_TIME}{name}:{uuid.uuid4().hex}"


def is_one_time(key: str) -> bool:
    """Whether nobody can ask for this key's outcome again."""
    return key.startswith(_ONE_TIME)


def is_own_key(key: str) -> bool:
    """Whether the outbox makes keys of this form itself."""
    return key.startswith((_ONE_TIME, _CONTENT))


def canonical(body: Any) -> str:
    """A message's one text."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"))
