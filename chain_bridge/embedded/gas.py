"""Gas: an estimate by the chain's own price list.

Sources: cosmos-sdk v0.53.6 `store/types/gas.go` and `x/auth/types/params.go`, wasmd v0.61.14
`x/wasm/types/gas_register.go` and `x/wasm/keeper/api.go`, cosmwasm-vm 3.0 `packages/vm/src/environment.rs`.
"""

from collections.abc import Sequence

from chain_bridge.embedded.errors import OutOfGas

TX_BYTE = 10
SIGNATURE = 1_000
READ, READ_BYTE = 1_000, 3
WRITE, WRITE_BYTE = 2_000, 30
HAS, REMOVE = 1_000, 1_000
STEP = 30
# In the store of the wasm module a contract's keys stand behind a kind byte and its address.
CONTRACT_PREFIX = 33

CODE_BYTE = 3
# Wasm is unpacked at 15 units for each 100 bytes of gzip.
UNPACK, UNPACK_BYTES = 15, 100
CALL = 60_000
# What a code costs that this transaction has already loaded, and what a reply costs.
CALL_AGAIN = 2_000
ANSWER_BYTE = 1
ADDRESS_CANONICALIZED, ADDRESS_HUMANIZED, ADDRESS_VALIDATED = 4, 5, 9
SECP256K1_VERIFIED, SECP256K1_RECOVERED, ED25519_VERIFIED = 685, 1_385, 250
EVENT_TYPE, ATTRIBUTE, ATTRIBUTE_BYTE, FREE_ATTRIBUTE_BYTES = 20, 10, 1, 100
# One wasm operation costs 115 units of the virtual machine's gas, of which 140,000 make one unit of the chain's.
OPERATION, MULTIPLIER = 115, 140_000
# An endless loop ends after this many operations (well under a second), however much gas was offered.
MOST_FUEL = 2_000_000_000

BLOCK_LIMIT = 100_000_000
QUERY_LIMIT = 3_000_000


class GasMeter:
    """What a transaction or query has used of its limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def charge(self, amount: int, where: str) -> None:
        """Use gas; raises `OutOfGas` once the limit is passed."""
        self.used += amount
        if self.used > self.limit:
            raise OutOfGas(where, self.limit, self.used)

    def charge_read(self, size: int) -> None:
        """One look-up; `size` is the bytes of key and value."""
        self.charge(READ, "ReadFlat")
        self.charge(READ_BYTE * size, "ReadPerByte")

    def charge_write(self, size: int) -> None:
        """One write; `size` is the bytes of key and value."""
        self.charge(WRITE, "WriteFlat")
        self.charge(WRITE_BYTE * size, "WritePerByte")

    def charge_has(self) -> None:
        """One look whether a key is there."""
        self.charge(HAS, "Has")

    def charge_remove(self) -> None:
        """One removal."""
        self.charge(REMOVE, "Delete")

    def charge_step(self, size: int) -> None:
        """One step of an iterator onto an entry with so many bytes of key and value; 0 at its end."""
        self.charge(STEP + READ_BYTE * size, "IterNextFlat")

    def charge_events(self, attributes: Sequence[Sequence[int]], types: Sequence[int] = ()) -> None:
        """A contract's events: the attribute sizes of each, and the sizes of the types of its custom ones."""
        stored = max(0, sum(map(sum, attributes)) - FREE_ATTRIBUTE_BYTES)
        count = sum(map(len, attributes))
        amount = ATTRIBUTE * count + ATTRIBUTE_BYTE * (stored + sum(types)) + EVENT_TYPE * len(types)
        self.charge(amount, "Custom contract event attributes")

    @property
    def fuel(self) -> int:
        """Wasm operations that the remaining gas buys."""
        return min(max(self.limit - self.used, 0) * MULTIPLIER // OPERATION, MOST_FUEL)

    def charge_fuel(self, operations: int) -> None:
        """Wasm operations that ran."""
        self.charge(operations * OPERATION // MULTIPLIER, "wasm contract")
