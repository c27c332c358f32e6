"""Whether the nodes of a round have been credited, or since when the settlement is pending."""

from datetime import UTC, datetime

from atlas.counts import counted
from resources.rounds.checks.finding import Finding
from resources.rounds.settle import Settlement

LATER = (
    "`atlas chain status` shows the chain and the outbox, sends what waits and settles what is due; so does the next "
    "run. Materialize reward_settlement of this round again to repeat the check."
)


def settled_in_time(settlement: Settlement, now: float) -> Finding:
    """A round is in time once it is settled, or as long as its challenge window is open; `now` is in unix seconds."""
    if settlement.state == "settled":
        return Finding(True)
    if settlement.state == "disputed":
        return Finding(
            False,
            "A challenge of this round is open, and no node is credited until the contract's owner decides it. "
            "`atlas chain status` shows the rounds that are settled.",
        )
    if settlement.state == "due" and settlement.due_at is not None:
        at = moment(settlement.due_at)
        if now < settlement.due_at:
            return Finding(True, f"Submitted. Nodes are credited after the challenge window, which ends at {at}.")
        return Finding(
            False, f"Submitted, but not settled yet, although it was due at {at}; the contract may be paused. {LATER}"
        )
    waits = counted(settlement.backlog, "transaction")
    since = "" if settlement.waiting_since is None else f", the oldest since {moment(settlement.waiting_since)}"
    return Finding(False, f"The chain does not answer; {waits} in the outbox{since}. {LATER}")


def moment(seconds: float) -> str:
    """Unix seconds as a date and time in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
