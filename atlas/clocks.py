"""Clocks that differ, as sentences for a person."""

from datetime import UTC, datetime

MOST_SECONDS = 60.0
"""How far two clocks may be apart: a signed message that is older, or from further ahead, is refused."""


def describe_difference(here: float, there: float, whose: str) -> str:
    """Two clocks, in unix seconds, and how far they are apart; `whose` says whose the other one is."""
    return (
        f"This machine's clock says {_text(here)}, {whose} {_text(there)}: they are {abs(here - there):.0f} s apart, "
        f"and at most {MOST_SECONDS:.0f} s are allowed. Set the clock that is wrong, for example with "
        "`timedatectl set-ntp true`."
    )


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
