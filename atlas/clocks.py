"""Messages about clock differences."""

from datetime import UTC, datetime

MOST_SECONDS = 60.0
"""The largest allowed clock difference: a signed message that is older, or further in the future, is refused."""


def describe_difference(here: float, there: float, whose: str) -> str:
    """A message about two clocks, in unix seconds, and their difference; `whose` names the other clock."""
    return (
        f"This machine's clock shows {_text(here)}, {whose} {_text(there)}: they are {abs(here - there):.0f} s apart, "
        f"and at most {MOST_SECONDS:.0f} s are allowed. Set the clock that is wrong, for example with `timedatectl "
        "set-ntp true`."
    )


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
