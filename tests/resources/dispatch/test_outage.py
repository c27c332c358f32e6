"""A chain that does not answer is asked ever less often, and for so long only."""

import pytest

from chain_bridge.errors import ChainUnreachable
from resources.dispatch.outage import Outage

SILENT = ChainUnreachable("no answer")


def test_pauses_double_and_an_answer_ends_them():
    outage = Outage(first=1, longest=4, patience=1000)
    now, pauses = 0.0, []
    for _ in range(5):
        outage.endure(SILENT, now)
        due = next(later for later in range(1, 100) if outage.may_ask(now + later))
        pauses.append(due)
        now += due
    assert pauses == [1, 2, 4, 4, 4]
    outage.over()
    assert outage.may_ask(now)
    outage.endure(SILENT, now)
    assert outage.may_ask(now + 1)


def test_patience_ends():
    outage = Outage(first=1, longest=4, patience=10)
    outage.endure(SILENT, 100.0)
    outage.endure(SILENT, 110.0)
    with pytest.raises(ChainUnreachable):
        outage.endure(SILENT, 110.1)
