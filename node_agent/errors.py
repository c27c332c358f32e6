"""The errors of the node agent and of the bus."""

from typing import Literal

from atlas.errors import AtlasError

FailureKind = Literal["diverged", "spec", "targets"]
"""Failures that another node would repeat: the loss diverges, the spec contradicts itself, no row has a target."""


class NodeError(AtlasError):
    """A node agent cannot do its work; the text is for the node's owner."""


class ConfigError(NodeError):
    """The node's settings are missing or not valid."""


class LocalDataError(NodeError):
    """A task cannot train on the node's own data; the text goes to the coordinator, so it quotes no row."""


class TaskRefused(NodeError):
    """A task is not leased to this node, not genuine, or more than this node takes.

    `lease_is_ours` is True if the chain nevertheless has this node as the holder of the lease, which should be
    released.
    """

    def __init__(self, message: str, lease_is_ours: bool) -> None:
        super().__init__(message)
        self.lease_is_ours = lease_is_ours


class TrainerFailed(NodeError):
    """The trainer process ended without a result; the text includes the end of its output.

    `kind` is set if another machine would repeat the failure.
    """

    def __init__(self, message: str, kind: FailureKind | None = None) -> None:
        super().__init__(message)
        self.kind = kind


class NoProgress(NodeError):
    """Work made no progress for too long; the text is the end of a sentence that begins with, say, "The trainer"."""


class BusError(AtlasError):
    """A message cannot be sent, or got no answer."""


class BusUnreachable(BusError):
    """No message server answers at the address."""


class BusTimeout(BusError):
    """Nobody gave a valid answer in time."""


class RefusedMessage(BusError):
    """A message is unsigned, altered, stale, replayed, on the wrong subject, or not of the expected shape."""
