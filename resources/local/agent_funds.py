"""Initial funds of local agents on a chain with fees or stakes: a grant for their fees, and a stake."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from chain_bridge.client.keys import Key
from chain_bridge.client.network import Network
from chain_bridge.ledger import Ledger
from chain_bridge.networks.faucet import send_coins
from chain_bridge.networks.feegrants import Allowance, GivenFeeGrants, GrantsUnsupported

GRANTED_GAS = 100_000_000
"""The gas that a fee grant pays for, at the network's price: about four hundred heartbeats."""
GRANTED_DAYS = 30
RENEW_DAYS = 2


def grant_limit(network: Network) -> int:
    """The usual spend limit of a fee grant, in the network's denomination."""
    return max(1, math.ceil(GRANTED_GAS * network.gas_price))


def is_enough(allowance: Allowance | None, limit: int, now: datetime) -> bool:
    """Whether a grant need not be renewed: a quarter of it and more than `RENEW_DAYS` days are left."""
    if allowance is None:
        return False
    lasts = allowance.expires is None or allowance.expires > now + timedelta(days=RENEW_DAYS)
    return lasts and (allowance.left is None or 4 * allowance.left >= limit)


def equip_agents(network: Network, operator: Key, addresses: Sequence[str]) -> Network:
    """Let the operator pay the agents' fees, and send new agents the minimum stake.

    On a chain without fee grants, the agents also get coins for their fees. Returns the network for the agents'
    settings. Raises as `Ledger` does.
    """
    granted, fees = False, 0
    if network.gas_price > 0:
        try:
            _give_grants(network, operator, addresses)
            granted = True
        except GrantsUnsupported:
            fees = grant_limit(network)
    stakes = _stakes_of_new(network, addresses)
    _fill_up(network, operator, {address: stakes.get(address, 0) + fees for address in addresses})
    return network.model_copy(update={"fee_granter": operator.address}) if granted else network


def _give_grants(network: Network, operator: Key, addresses: Sequence[str]) -> None:
    grants = GivenFeeGrants(network, operator)
    try:
        limit, now = grant_limit(network), datetime.now(UTC)
        lacking = [address for address in addresses if not is_enough(grants.find(address), limit, now)]
        if lacking:
            grants.give(lacking, limit, now + timedelta(days=GRANTED_DAYS))
    finally:
        grants.close()


def _stakes_of_new(network: Network, addresses: Sequence[str]) -> dict[str, int]:
    with Ledger(network) as ledger:
        stake = ledger.config().min_stake
        return {address: stake for address in addresses if stake and ledger.node_of(address) is None}


def _fill_up(network: Network, operator: Key, wanted: dict[str, int]) -> None:
    """Send each address the difference between its balance and the wanted amount."""
    with Ledger(network) as ledger:
        lacking = {address: amount - ledger.balance(address) for address, amount in wanted.items() if amount}
    amounts = {address: amount for address, amount in lacking.items() if amount > 0}
    if amounts:
        send_coins(network, operator, amounts)
