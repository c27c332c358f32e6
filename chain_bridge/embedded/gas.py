"""Gas: an estimate by the chain's own price list.

Sources: cosmos-sdk `store/types/gas.go` and `x/auth/types/params.go`, wasmd `x/wasm/types/gas_register.go`,
cosmwasm `packages/vm/src/wasm_backend/engine.rs`.
"""

from chain_bridge.embedded.errors import OutOfGas

TX_BYTE = 10
SIGNATURE = 1_000
CODE_BYTE = 3
CALL = 60_000
READ, READ_BYTE = 1_000, 3
WRITE, WRITE_BYTE = 2_000, 30
REMOVE = 1_000
STEP = 30
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

    def charge_read(self, value: bytes | None) -> None:
        """One look-up by key."""
        self.charge(READ + READ_BYTE * len(value or b""), "ReadFlat")

    def charge_write(self, key: bytes, value: bytes) -> None:
        """One write."""
        self.charge(WRITE + WRITE_BYTE * (len(key) + len(value)), "WriteFlat")

    def charge_remove(self) -> None:
        """One removal."""
        self.charge(REMOVE, "Delete")

    def charge_step(self, entry: tuple[bytes, bytes] | None) -> None:
        """One step of an iterator; `entry` is None at its end."""
        self.charge(STEP + READ_BYTE * sum(map(len, entry or ())), "IterNextCostFlat")

    @property
    def fuel(self) -> int:
        """Wasm operations that the remaining gas buys."""
        return min(max(self.limit - self.used, 0) * MULTIPLIER // OPERATION, MOST_FUEL)

    def charge_fuel(self, operations: int) -> None:
        """Wasm operations that ran."""
        self.charge(operations * OPERATION // MULTIPLIER, "wasm contract")
