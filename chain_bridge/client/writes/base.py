"""The base class of all areas of messages."""

import base64
from abc import ABC, abstractmethod
from dataclasses import asdict
from typing import Any, Generic, TypeVar

from chain_bridge.client.messages import Assignment, Share, SlotAttempt

OUTCOME = TypeVar("OUTCOME")


class Writes(ABC, Generic[OUTCOME]):
    """Accepts the contract's messages: a subclass sends them at once, or records them for later."""

    @abstractmethod
    def _write(self, name: str, body: Any, funds: int = 0) -> OUTCOME:
        """Send or record one message, with `funds` attached."""


def binary(value: bytes) -> str:
    """Bytes in the form that the contract reads: base64."""
    return base64.b64encode(value).decode()


def optional_binary(value: bytes | None) -> str | None:
    """As `binary`, or None."""
    return None if value is None else binary(value)


def mappings(items: list[Assignment] | list[SlotAttempt] | list[Share]) -> list[dict[str, int]]:
    """Items in the form that the contract reads."""
    return [asdict(item) for item in items]
