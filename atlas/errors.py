"""The error hierarchy of the domain library.

A message names the thing, what was expected, what was found, and what to do about it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


class AtlasError(Exception):
    """Base class of every error that Atlas Pipelines raises deliberately; its text is written for users."""

    facts: Mapping[str, Any] = MappingProxyType({})
    """Values that a command prints with `--json` in addition to the text, by name."""


class Compared(AtlasError):
    """Expected and found values differ; the text contains both, and the attributes provide them to programs."""

    def __init__(self, text: str = "", *, expected: str | None = None, found: str | None = None) -> None:
        super().__init__(text)
        self.expected = expected
        self.found = found


class DiskError(AtlasError):
    """A file of this machine cannot be read, written or understood; the text names the file and the remedy."""


class SpecError(AtlasError):
    """A specification is malformed or contradicts itself; nothing was written."""


class ContentError(Compared):
    """Content is missing, unreadable or does not match its CID."""


class CorruptContent(ContentError):
    """The bytes do not match the CID that names them."""


class ContentNotFound(ContentError):
    """No reachable store holds a CID."""


class ContentUnreachable(ContentError):
    """A node or gateway that may hold content does not answer; another place, or a retry, may succeed."""


class SealError(ContentError):
    """Sealed content cannot be opened: wrong key, altered bytes, or truncated."""


class DataError(AtlasError):
    """A data source, column, label or row does not match the spec."""


class ModelError(AtlasError):
    """A base model is unknown, incomplete or not the one that the job names."""


class NothingToPredict(DataError):
    """No row has a token or label to predict, so a model can be neither trained nor evaluated."""


class TrainingError(AtlasError):
    """Training or evaluation cannot go on."""


class DivergedError(TrainingError):
    """A loss, a gradient or a step is not finite: training diverges with these settings."""


class AggregationError(AtlasError):
    """Updates cannot be aggregated."""


class VerificationError(Compared):
    """A signature, receipt or recomputed result is invalid."""

    def __init__(
        self, text: str, check: str | None = None, *, expected: str | None = None, found: str | None = None
    ) -> None:
        """`check` is the part of `atlas verify` that failed."""
        super().__init__(text, expected=expected, found=found)
        self.check = check
