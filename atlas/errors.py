"""The error hierarchy of the domain library.

A message names the thing, what was expected, what was found, and what to do about it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


class AtlasError(Exception):
    """Root of every error that Atlas Pipelines raises on purpose; its text is fit for a person."""

    facts: Mapping[str, Any] = MappingProxyType({})
    """What a command prints beside the text with `--json`, by name."""


class Compared(AtlasError):
    """Something was expected and something else found, which the text says, and the attributes repeat for programs."""

    def __init__(self, text: str = "", *, expected: str | None = None, found: str | None = None) -> None:
        super().__init__(text)
        self.expected = expected
        self.found = found


class DiskError(AtlasError):
    """A file of this machine cannot be read, written or understood; the text names it and says what to do."""


class SpecError(AtlasError):
    """A specification is malformed or contradicts itself; nothing was written."""


class ContentError(Compared):
    """Content is missing, unreadable or does not match its CID."""


class CorruptContent(ContentError):
    """Bytes were read whose CID is not the one that names them."""


class ContentNotFound(ContentError):
    """No reachable store holds a CID."""


class ContentUnreachable(ContentError):
    """A node or gateway that may hold content does not answer; another place, or a later try, may."""


class SealError(ContentError):
    """Sealed content cannot be opened: another key, altered bytes, or cut short."""


class DataError(AtlasError):
    """A data source, column, label or row is not what the spec says."""


class ModelError(AtlasError):
    """A base model is unknown, incomplete or not the one that the job names."""


class NothingToPredict(DataError):
    """No row has anything to predict, so a model can neither learn nor be judged."""


class TrainingError(AtlasError):
    """Training or evaluation cannot go on."""


class DivergedError(TrainingError):
    """A loss, a gradient or a step is not a finite number: the settings drive the adapter away."""


class AggregationError(AtlasError):
    """Updates cannot be aggregated."""


class VerificationError(Compared):
    """A signature, receipt or recomputed result does not hold."""

    def __init__(
        self, text: str, check: str | None = None, *, expected: str | None = None, found: str | None = None
    ) -> None:
        """`check` is the part of `atlas verify` that failed."""
        super().__init__(text, expected=expected, found=found)
        self.check = check
