"""The result of a check of a round."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Whether a check passed, and why not.

    `text` names the problem and what to do; of a check that passed, it is a remark, or None. `severe` marks an error,
    where a problem is otherwise a warning.
    """

    passed: bool
    text: str | None = None
    severe: bool = False
