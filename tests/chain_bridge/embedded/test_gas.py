import pytest

from chain_bridge.embedded.errors import OutOfGas
from chain_bridge.embedded.gas import MOST_FUEL, GasMeter


def test_the_price_list():
    meter = GasMeter(10**9)
    meter.charge_read(b"abc")
    assert meter.used == 1000 + 3 * 3
    meter.charge_read(None)
    assert meter.used == 2009
    meter.charge_write(b"key", b"value")
    assert meter.used == 2009 + 2000 + 30 * 8
    meter.charge_remove()
    meter.charge_step((b"key", b"value"))
    meter.charge_step(None)
    assert meter.used == 4249 + 1000 + 30 + 3 * 8 + 30
    meter.charge_fuel(140_000)
    assert meter.used == 5333 + 115


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
