"""Settings of the embedded chain and its node."""

from dataclasses import dataclass

from chain_bridge.embedded.gas import BLOCK_LIMIT


@dataclass(frozen=True)
class Settings:
    """A chain's name, address prefix and coin, which are fixed at genesis, and its gas settings, which may change.

    With a `gas_price` of 0 every address has an account from the start, so that a key without coins can send.
    """

    chain_id: str
    prefix: str = "atlas"
    denom: str = "uatl"
    # The least fee, in denom per unit of gas.
    gas_price: float = 0.0
    # The most gas of a block, and so of a transaction.
    block_gas: int = BLOCK_LIMIT
