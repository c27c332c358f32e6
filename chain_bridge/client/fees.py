"""Gas limits and fees of transactions."""

import math
from fractions import Fraction

from chain_bridge.client.network import Network
from chain_bridge.errors import FeeTooHigh

# Multiplies the simulated gas, because the state may change before the transaction runs.
GAS_FACTOR = 1.4
# Paying the fee costs gas as well, more with a fee grant. A simulated transaction has no fee and omits this gas.
PAYMENT_GAS = 30_000


def gas_limit(gas_used: int) -> int:
    """The gas limit for a transaction whose simulation used `gas_used`."""
    return math.ceil(gas_used * GAS_FACTOR) + PAYMENT_GAS


def fee_of(network: Network, gas: int) -> int:
    """The fee for this much gas, in the network's denomination."""
    return math.ceil(gas * Fraction(str(network.gas_price)))


def check_limits(network: Network, gas: int) -> None:
    """Raise `FeeTooHigh` when a transaction would use or cost more than the network's settings allow."""
    if gas > network.max_gas:
        raise FeeTooHigh(
            f"The transaction needs {gas} gas, the cap of {network.chain_id} is {network.max_gas}. Raise the "
            "network's max_gas, or send less at once."
        )
    fee = fee_of(network, gas)
    if network.max_fee is not None and fee > network.max_fee:
        raise FeeTooHigh(
            f"The fee is {fee}{network.denom} ({gas} gas), the cap of {network.chain_id} is "
            f"{network.max_fee}{network.denom}. Raise the network's max_fee, or send less at once."
        )
