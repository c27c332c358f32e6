"""The errors of the coordinator."""

from atlas.errors import AtlasError, SpecError


class CoordinatorError(AtlasError):
    """The coordinator cannot continue; the text is for the person who runs the pipeline."""


class BudgetError(SpecError):
    """A job's budget does not cover the payments that it promises; nothing was written."""


class JobNotFound(SpecError):
    """No job of this name was opened by this coordinator."""


class JobEnded(CoordinatorError):
    """A round was requested of a job that is cancelled or closed."""


class JobAtWork(CoordinatorError):
    """Another run of the same job is in progress."""


class OtherContract(CoordinatorError):
    """A job was opened on another contract than the current network's."""


class LocalNetworkError(CoordinatorError):
    """The local chain, message server or agents do not start or do not answer."""


class RoundOrderError(CoordinatorError):
    """A round was requested before the previous one has ended."""


class QuorumError(CoordinatorError):
    """Too few updates of a round are fit for aggregation."""


class TaskLost(CoordinatorError):
    """A task that a step depends on got no result in this run."""


class SettlementError(CoordinatorError):
    """The chain's record of a round differs from this coordinator's."""


class AlertNotDelivered(CoordinatorError):
    """A hook did not take an alert; another attempt may succeed."""


class PushError(CoordinatorError):
    """A model could not be uploaded to the hub."""
