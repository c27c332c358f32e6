"""The errors of the coordinator."""

from atlas.errors import AtlasError, SpecError


class CoordinatorError(AtlasError):
    """The coordinator cannot go on; its text is fit for whoever runs the pipeline."""


class BudgetError(SpecError):
    """A job's budget does not cover what it promises to pay; nothing was written."""


class JobNotFound(SpecError):
    """No job of this name was opened by this coordinator."""


class JobEnded(CoordinatorError):
    """A round is asked for of a job that was cancelled or closed before."""


class OtherContract(CoordinatorError):
    """A job was opened on another contract than the one that answers now."""


class LocalNetworkError(CoordinatorError):
    """The local chain, message server or agents do not start or do not answer."""


class RoundOrderError(CoordinatorError):
    """A round is asked for before the one that it builds on has ended."""


class QuorumError(CoordinatorError):
    """Too few updates of a round are fit for aggregation."""


class TaskLost(CoordinatorError):
    """A task that a step cannot do without got no result in this run."""


class SettlementError(CoordinatorError):
    """What the chain says about a round and what this coordinator knows of it differ."""


class PushError(CoordinatorError):
    """A model could not be uploaded to the hub."""
