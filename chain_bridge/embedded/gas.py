"""Gas: an estimate with the gas prices of wasmd and the SDK.

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
# In the store of the wasm module, a contract's keys are prefixed with a kind byte and the contract's address.
CONTRACT_PREFIX = 33

CODE_BYTE = 3
# Decompression costs 15 units per 100 bytes of gzip.
UNPACK, UNPACK_BYTES = 15, 100
CALL = 60_000
# The price of a call to a code that this transaction has already loaded, and of a reply.
CALL_AGAIN = 2_000
ANSWER_BYTE = 1
ADDRESS_CANONICALIZED, ADDRESS_HUMANIZED, ADDRESS_VALIDATED = 4, 5, 9
SECP256K1_VERIFIED, SECP256K1_RECOVERED, ED25519_VERIFIED = 685, 1_385, 250
EVENT_TYPE, ATTRIBUTE, ATTRIBUTE_BYTE, FREE_ATTRIBUTE_BYTES = 20, 10, 1, 100
# One wasm operation costs 115 units of the virtual machine's gas; 140,000 of these equal one unit of the chain's gas.
OPERATION, MULTIPLIER = 115, 140_000
# An endless loop ends after this many operations (well under a second), whatever the gas limit.
MOST_FUEL = 2_000_000_000

BLOCK_LIMIT = 100_000_000
QUERY_LIMIT = 3_000_000


class GasMeter:
    """The gas that a transaction or query has used, and its limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def charge(self, amount: int, where: str) -> None:
        """Use gas; raises `OutOfGas` once the limit is exceeded."""
        self.used += amount
        if self.used > self.limit:
            raise OutOfGas(where, self.limit, self.used)

    def charge_read(self, size: int) -> None:
        """Charge for one read; `size` is the bytes of key and value."""
        self.charge(READ, "ReadFlat")
        self.charge(READ_BYTE * size, "ReadPerByte")

    def charge_write(self, size: int) -> None:
        """Charge for one write; `size` is the bytes of key and value."""
        self.charge(WRITE, "WriteFlat")
        self.charge(WRITE_BYTE * size, "WritePerByte")

    def charge_has(self) -> None:
        """Charge for one check whether a key exists."""
        self.charge(HAS, "Has")

    def charge_remove(self) -> None:
        """Charge for one removal."""
        self.charge(REMOVE, "Delete")

    def charge_step(self, size: int) -> None:
        """Charge for one step of an iterator; `size` is the bytes of the entry's key and value, 0 at the end."""
        self.charge(STEP + READ_BYTE * size, "IterNextFlat")

    def charge_events(self, attributes: Sequence[Sequence[int]], types: Sequence[int] = ()) -> None:
        """Charge for a contract's events: the attribute sizes of each event, and the type sizes of custom events."""
        stored = max(0, sum(map(sum, attributes)) - FREE_ATTRIBUTE_BYTES)
        count = sum(map(len, attributes))
        amount = ATTRIBUTE * count + ATTRIBUTE_BYTE * (stored + sum(types)) + EVENT_TYPE * len(types)
        self.charge(amount, "Custom contract event attributes")

    @property
    def fuel(self) -> int:
        """The wasm operations that the remaining gas allows."""
        return min(max(self.limit - self.used, 0) * MULTIPLIER // OPERATION, MOST_FUEL)

    def charge_fuel(self, operations: int) -> None:
        """Charge for executed wasm operations."""
        self.charge(operations * OPERATION // MULTIPLIER, "wasm contract")
