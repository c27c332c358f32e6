"""Which bytecode the chain holds, and which contracts were made from it."""

import hashlib
from dataclasses import dataclass

from chain_bridge.embedded.addresses import contract_address
from chain_bridge.embedded.database import Database
from chain_bridge.embedded.errors import NoSuchCode, NoSuchContract


@dataclass(frozen=True)
class Code:
    """Stored bytecode; the checksum is its SHA-256."""

    id: int
    checksum: bytes
    creator: str


@dataclass(frozen=True)
class Contract:
    """An instance of a code. Its admin may migrate it; empty for nobody."""

    address: str
    code_id: int
    creator: str
    admin: str
    label: str
    height: int


class Registry:
    """Codes and contracts in the database."""

    def __init__(self, database: Database, prefix: str) -> None:
        self._database = database
        self._prefix = prefix

    def store_code(self, creator: str, wasm: bytes) -> Code:
        """Keep bytecode that was checked."""
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
        """Let a contract run another code."""
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
