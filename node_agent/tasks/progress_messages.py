"""Custom Dagster Pipes messages of a task: its progress and its events.

The payload of each has a `kind`. A reader ignores kinds and fields that it does not know.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

Message = dict[str, Any]
SIGNS = frozenset({"progress", "checkpoint", "stage"})
"""The kinds of messages that are signs of progress."""
STAGE_SECONDS = 1.0
"""The least time between two messages about the same stage."""


def custom(payload: Message) -> Message:
    """A Pipes message with this payload."""
    return {
        "__dagster_pipes_version": "0.1",
        "method": "report_custom_message",
        "params": {"payload": payload},
    }


def payload_of(message: Mapping[str, Any]) -> Message:
    """The payload of a custom message; empty for any other."""
    params = message.get("params")
    payload = params.get("payload") if isinstance(params, dict) else None
    return payload if isinstance(payload, dict) and isinstance(payload.get("kind"), str) else {}


def warning_of(message: Mapping[str, Any]) -> str | None:
    """The text of a warning that a trainer logged; None for any other message. The text is untrusted."""
    params = message.get("params")
    if message.get("method") != "log" or not isinstance(params, dict) or params.get("level") != "WARNING":
        return None
    text = params.get("message")
    return text if isinstance(text, str) else None


def is_sign(message: Mapping[str, Any]) -> bool:
    """Whether a message is a sign of progress: the trainer is up, a step, a checkpoint, a stage or a part of one."""
    return message.get("method") == "opened" or payload_of(message).get("kind") in SIGNS


class StageReports:
    """An `atlas.activity` listener that sends stages as payloads, with the bytes so far, at most once per second."""

    def __init__(self, send: Callable[[Message], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._clock = clock
        self._stage = "starting"
        self._bytes = 0
        self._sent_at = float("-inf")

    def __call__(self, stage: str | None, size: int) -> None:
        """Process a report: the beginning of a stage, or `size` more bytes."""
        now = self._clock()
        if stage is not None:
            self._stage, self._bytes = stage, 0
        self._bytes += size
        if stage is not None or now - self._sent_at >= STAGE_SECONDS:
            self._sent_at = now
            self._send({"kind": "stage", "stage": self._stage, "bytes": self._bytes})
