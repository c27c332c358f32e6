"""The errors of the node agent and of the bus."""

from typing import Literal

from atlas.errors import AtlasError

FailureKind = Literal["diverged", "spec", "targets"]
"""Failures that another node would repeat: the loss diverges, the spec contradicts itself, no row has a target."""


class NodeError(AtlasError):
    """A node agent cannot do what it was told; its text is fit for the node's owner."""


class ConfigError(NodeError):
    """The node's settings are missing or not valid."""


class LocalDataError(NodeError):
    """A task cannot train on the node's own data; the text goes to the coordinator, so it quotes no row."""


class TaskRefused(NodeError):
    """A task is not ours, not genuine, or more than this node takes.

    `lease_is_ours` says that the chain holds us for it all the same, so that the lease should be given back.
    """

    def __init__(self, message: str, lease_is_ours: bool) -> None:
        super().__init__(message)
        self.lease_is_ours = lease_is_ours


class TrainerFailed(NodeError):
    """The trainer process ended without a result; the text ends with its last words.

    `kind` says which failure that another machine would repeat, if it is one.
    """

    def __init__(self, message: str, kind: FailureKind | None = None) -> None:
        super().__init__(message)
        self.kind = kind


class NoProgress(NodeError):
    """Work gave no sign of progress for too long; the text goes on where "The trainer" or the like begins."""


class BusError(AtlasError):
    """A message cannot be sent, or its answer cannot be had."""


class BusUnreachable(BusError):
    """No message server answers at the address."""


class BusTimeout(BusError):
    """Nobody gave a valid answer in time."""


class RefusedMessage(BusError):
    """A message is unsigned, altered, stale, replayed, on the wrong subject, or not of the expected shape."""
