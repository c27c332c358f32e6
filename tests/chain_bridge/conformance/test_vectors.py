"""Every message and query of the contract, refusals included, on the embedded chain and on a real node."""

import pytest

from tests.support.conformance.play import play_alone, play_on_both
from tests.support.conformance.vectors import content, fleet, rounds, work

VECTORS = [*fleet.VECTORS, *work.VECTORS, *rounds.VECTORS, *content.VECTORS]


def names(vector):
    return vector.name


@pytest.mark.parametrize("vector", VECTORS, ids=names)
def test_embedded_chain(vector, alone):
    side, keys = alone
    play_alone(vector, side, keys)


@pytest.mark.wasmd
@pytest.mark.parametrize("vector", VECTORS, ids=names)
def test_wasmd_says_and_stores_the_same(vector, pair, gas_table):
    real, ours, keys = pair
    for message, measured, estimated in play_on_both(vector, real, ours, keys):
        gas_table[message].append((measured, estimated))
        assert estimated == pytest.approx(measured, rel=0.1), message
