"""Accounts and their sequence numbers."""

import hashlib

from chain_bridge.embedded.errors import NoSuchAccount
from chain_bridge.embedded.gas import GasMeter
from chain_bridge.embedded.state.database import Database

# Bytes of a stored account: a protobuf `Any` with the address and, after its first signature, its key and counts.
_RECORD, _SIGNED = 40, 74
_NUMBER_COUNTER, _NUMBER_INDEX = 9, 29


def account_number(address: str) -> int:
    """An account's number in sign documents.

    A real chain numbers its accounts in order of creation. Here the number is computed from the address, so that an
    account can sign without a first deposit.
    """
    return int.from_bytes(hashlib.sha256(address.encode()).digest()[:4], "big")


class Accounts:
    """Accounts in the database. With `open_to_all` every address has one from the start."""

    def __init__(self, database: Database, *, open_to_all: bool) -> None:
        self._database = database
        self._open_to_all = open_to_all

    def sequence(self, address: str) -> int:
        """How many transactions an account has sent; raises `NoSuchAccount`."""
        row = self._database.execute("SELECT sequence FROM accounts WHERE address = ?", address).fetchone()
        if not row and not self._open_to_all:
            raise NoSuchAccount(address)
        return int(row[0]) if row else 0

    def exists(self, address: str) -> bool:
        """Whether the account was created: by coins, a fee grant or a transaction, or as a contract."""
        return bool(self._database.execute("SELECT 1 FROM accounts WHERE address = ?", address).fetchone())

    def may_send(self, address: str) -> bool:
        """Whether the chain accepts transactions of this account."""
        return self._open_to_all or self.exists(address)

    def create(self, address: str, gas: GasMeter | None = None) -> None:
        """Create the account if it does not exist."""
        if self.exists(address):
            return
        self._database.execute("INSERT INTO accounts VALUES (?, 0, 0)", address)
        if gas:
            gas.charge_read(_NUMBER_COUNTER)
            gas.charge_write(_NUMBER_COUNTER)
            self._charge_save(address, gas, 0)

    def count_transaction(self, address: str, gas: GasMeter) -> None:
        """Raise an account's sequence by one."""
        self.charge_read(address, gas)
        self._charge_save(address, gas, self._record(address))
        self._database.execute("UPDATE accounts SET sequence = sequence + 1 WHERE address = ?", address)

    def keep_key(self, address: str, gas: GasMeter) -> None:
        """Record that an account's public key is known, from its first transaction."""
        self.charge_read(address, gas)
        old = self._record(address)
        if self._database.execute(
            "UPDATE accounts SET has_key = 1 WHERE address = ? AND NOT has_key", address
        ).rowcount:
            self._charge_save(address, gas, old)

    def charge_read(self, address: str, gas: GasMeter) -> None:
        """Charge for looking up an account, whether or not it exists."""
        gas.charge_read(_key(address) + (self._record(address) if self.exists(address) else 0))

    def _charge_save(self, address: str, gas: GasMeter, old: int) -> None:
        """Charge for writing an account and its entry in the index of numbers; `old` is the old record's size."""
        gas.charge_read(_key(address) + old)
        if old:
            gas.charge_remove()
        gas.charge_has()
        gas.charge_write(_NUMBER_INDEX)
        gas.charge_write(_key(address) + self._record(address))

    def _record(self, address: str) -> int:
        row = self._database.execute("SELECT has_key FROM accounts WHERE address = ?", address).fetchone()
        return _RECORD + len(address) + (_SIGNED if row and row[0] else 0)


def _key(address: str) -> int:
    """Bytes of an account's key: a kind byte and the address (20 bytes, or 32 for a contract).

    In bech32, 20 bytes take 38 characters after the separator.
    """
    return 1 + (20 if len(address.rpartition("1")[2]) == 38 else 32)
