from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_bridge.client import fees
from chain_bridge.client.network import Network
from chain_bridge.errors import FeeTooHigh


def network(**settings):
    return Network(chain_id="atlas-test", url="grpc+http://127.0.0.1:1", **settings)


@given(st.integers(0, 10**9), st.integers(0, 10**6))
def test_a_fee_is_what_the_chain_asks_for_rounded_up(gas, micros):
    fee = fees.fee_of(network(gas_price=micros / 10**6), gas)
    exact = Fraction(micros, 10**6) * gas
    assert exact <= fee < exact + 1


def test_the_fee_cap_names_the_fee_and_the_cap():
    capped = network(gas_price=0.025, max_fee=100)
    fees.check_limits(capped, 4000)
    with pytest.raises(FeeTooHigh, match=r"fee is 101uatl .* the cap of atlas-test is 100uatl"):
        fees.check_limits(capped, 4001)


def test_the_gas_cap_names_the_gas_and_the_cap():
    fees.check_limits(network(max_gas=1000), 1000)
    with pytest.raises(FeeTooHigh, match="needs 1001 gas, the cap of atlas-test is 1000"):
        fees.check_limits(network(max_gas=1000), 1001)
