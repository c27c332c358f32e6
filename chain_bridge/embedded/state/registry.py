"""The bytecode on the chain, and the contracts created from it."""

import hashlib
from dataclasses import dataclass

from chain_bridge.embedded.errors import NoSuchCode, NoSuchContract
from chain_bridge.embedded.gas import GasMeter
from chain_bridge.embedded.state.addresses import contract_address
from chain_bridge.embedded.state.database import Database

# Bytes of key and value as wasmd stores them.
_COUNTER, _BY_CODE, _BY_CREATOR, _HISTORY = 23, 57, 70, 52


@dataclass(frozen=True)
class Code:
    """Stored bytecode; the checksum is its SHA-256."""

    id: int
    checksum: bytes
    creator: str


@dataclass(frozen=True)
class Contract:
    """An instance of a code. Only its admin may migrate it; an empty admin means that nobody may."""

    address: str
    code_id: int
    creator: str
    admin: str
    label: str
    height: int


class ContractRegistry:
    """Codes and contracts in the database."""

    def __init__(self, database: Database, prefix: str) -> None:
        self._database = database
        self._prefix = prefix

    def store_code(self, creator: str, wasm: bytes, gas: GasMeter) -> Code:
        """Store bytecode that was already checked."""
        gas.charge_read(_COUNTER)
        gas.charge_write(_COUNTER)
        gas.charge_write(_code_size(creator))
        checksum = hashlib.sha256(wasm).digest()
        row = self._database.execute(
            "INSERT INTO codes(checksum, creator, wasm) VALUES (?, ?, ?) RETURNING id", checksum, creator, wasm
        ).fetchone()
        return Code(row[0], checksum, creator)

    def bytecode(self, checksum: bytes) -> bytes:
        """The bytecode with this checksum, which must be stored."""
        (wasm,) = self._database.execute("SELECT wasm FROM codes WHERE checksum = ? LIMIT 1", checksum).fetchone()
        return bytes(wasm)

    def codes(self) -> list[Code]:
        """All codes by number."""
        return [Code(*row) for row in self._database.execute("SELECT id, checksum, creator FROM codes ORDER BY id")]

    def code(self, code_id: int) -> Code:
        """One code; raises `NoSuchCode`."""
        row = self._database.execute("SELECT id, checksum, creator FROM codes WHERE id = ?", code_id).fetchone()
        if row is None:
            raise NoSuchCode(code_id)
        return Code(*row)

    def charge_load(self, contract: Contract, gas: GasMeter) -> None:
        """Charge for looking up a contract, its code, and whether the code is pinned."""
        gas.charge_read(_contract_size(contract))
        self.charge_load_code(contract.code_id, gas)

    def charge_load_code(self, code_id: int, gas: GasMeter) -> None:
        """Charge for looking up a code, and whether it is pinned."""
        gas.charge_read(_code_size(self.code(code_id).creator))
        gas.charge_has()

    def charge_create(self, contract: Contract, message: bytes, gas: GasMeter) -> None:
        """Charge for registering a contract: two counters, two indexes, its history and its record."""
        gas.charge_read(_COUNTER)
        gas.charge_write(_COUNTER)
        gas.charge_has()
        gas.charge_write(_BY_CODE)
        gas.charge_write(_BY_CREATOR)
        gas.charge_step(0)
        gas.charge_write(_HISTORY + len(message))
        gas.charge_write(_contract_size(contract))

    def charge_migrate(self, contract: Contract, message: bytes, gas: GasMeter) -> None:
        """Charge for registering another code for a contract."""
        gas.charge_read(_code_size(contract.creator))
        for _ in ("its last entry", "where the next belongs"):
            gas.charge_step(_HISTORY + len(message))
        gas.charge_remove()
        gas.charge_write(_HISTORY + len(message))
        gas.charge_write(_BY_CODE)
        gas.charge_write(_contract_size(contract))

    def create_contract(self, code_id: int, creator: str, admin: str, label: str, height: int) -> Contract:
        """Register a new instance under the address that wasmd would give it; raises `NoSuchCode`."""
        self.code(code_id)
        (instance,) = self._database.execute("SELECT COALESCE(MAX(id), 0) + 1 FROM contracts").fetchone()
        contract = Contract(contract_address(code_id, instance, self._prefix), code_id, creator, admin, label, height)
        self._database.execute(
            "INSERT INTO contracts VALUES (?, ?, ?, ?, ?, ?, ?)",
            instance, contract.address, code_id, creator, admin, label, height,
        )  # fmt: skip
        return contract

    def contract(self, address: str) -> Contract:
        """One contract; raises `NoSuchContract`."""
        row = self._database.execute(
            "SELECT address, code_id, creator, admin, label, height FROM contracts WHERE address = ?", address
        ).fetchone()
        if row is None:
            raise NoSuchContract(address)
        return Contract(*row)

    def change_code(self, address: str, code_id: int) -> None:
        """Switch a contract to another code."""
        self._database.execute("UPDATE contracts SET code_id = ? WHERE address = ?", code_id, address)

    def read_state(self, address: str, key: bytes) -> bytes | None:
        """The raw value under a contract's key; raises `NoSuchContract`."""
        self.contract(address)
        row = self._database.execute("SELECT value FROM state WHERE contract = ? AND key = ?", address, key).fetchone()
        return bytes(row[0]) if row else None

    def state_page(self, address: str, start: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """At most `limit` keys and values of a contract from `start` on, by key; raises `NoSuchContract`."""
        self.contract(address)
        return self._database.execute(
            "SELECT key, value FROM state WHERE contract = ? AND key >= ? ORDER BY key LIMIT ?", address, start, limit
        ).fetchall()


def _code_size(creator: str) -> int:
    return 9 + 34 + 2 + len(creator) + 4


def _contract_size(contract: Contract) -> int:
    """Bytes of a stored contract: address, code, creator, admin, label, height of creation, and port name."""
    texts = [text for text in (contract.creator, contract.admin, contract.label) if text]
    return 33 + 2 + sum(2 + len(text) for text in texts) + 5 + 2 + 5 + len(contract.address.partition("1")[2]) + 1
