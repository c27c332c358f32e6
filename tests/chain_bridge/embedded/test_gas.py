import pytest

from chain_bridge.embedded.errors import OutOfGas
from chain_bridge.embedded.gas import MOST_FUEL, GasMeter


def test_the_price_list():
    meter = GasMeter(10**9)
    expected = 0
    for charge, price in (
        (lambda: meter.charge_read(3), 1000 + 3 * 3),
        (lambda: meter.charge_read(0), 1000),
        (lambda: meter.charge_write(8), 2000 + 30 * 8),
        (meter.charge_has, 1000),
        (meter.charge_remove, 1000),
        (lambda: meter.charge_step(8), 30 + 3 * 8),
        (lambda: meter.charge_step(0), 30),
        (lambda: meter.charge_fuel(140_000), 115),
        # 60 + 50 bytes of which 100 are free, three attributes, and one custom event with a type of 4 bytes
        (lambda: meter.charge_events([[20, 40], [50]], [4]), 10 + 3 * 10 + 20 + 4),
        (lambda: meter.charge_events([]), 0),
    ):
        charge()
        expected += price
        assert meter.used == expected


def test_the_limit_itself_may_be_used_and_no_more():
    meter = GasMeter(100)
    meter.charge(100, "here")
    with pytest.raises(OutOfGas, match="out of gas in location: there; gasWanted: 100, gasUsed: 101"):
        meter.charge(1, "there")


def test_fuel_is_what_the_rest_buys():
    meter = GasMeter(1150)
    assert meter.fuel == 1_400_000
    meter.charge(1150, "all")
    assert meter.fuel == 0
    assert GasMeter(10**12).fuel == MOST_FUEL
