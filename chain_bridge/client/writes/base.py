"""What the areas share."""

import base64
from abc import ABC, abstractmethod
from dataclasses import asdict
from typing import Any, Generic, TypeVar

from chain_bridge.client.messages import Assignment, Share, SlotAttempt

OUTCOME = TypeVar("OUTCOME")


class Writes(ABC, Generic[OUTCOME]):
    """Something that takes the contract's messages: to send them at once, or to record them for later."""

    @abstractmethod
    def _write(self, name: str, body: Any, funds: int = 0) -> OUTCOME:
        """Take one message; `funds` go with it."""


def binary(value: bytes) -> str:
    """Bytes as the contract reads them."""
    return base64.b64encode(value).decode()


def optional_binary(value: bytes | None) -> str | None:
    """Bytes that may be left out."""
    return None if value is None else binary(value)


def mappings(items: list[Assignment] | list[SlotAttempt] | list[Share]) -> list[dict[str, int]]:
    """Items as the contract reads them."""
    return [asdict(item) for item in items]
