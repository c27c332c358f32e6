"""The result of one check."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from atlas.errors import AtlasError

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """One line: the thing checked, its state, and, unless it is ok, what to do."""

    check: str
    state: State
    text: str


@contextmanager
def failing(check: str, findings: list[Finding]) -> Iterator[None]:
    """Turn an `AtlasError` of the block into a finding; its text includes what to do."""
    try:
        yield
    except AtlasError as error:
        findings.append(Finding(check, "failed", str(error)))
