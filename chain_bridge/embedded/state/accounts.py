"""Who has an account, and how many transactions each has sent."""

import hashlib

from chain_bridge.embedded.errors import NoSuchAccount
from chain_bridge.embedded.gas import GasMeter
from chain_bridge.embedded.state.database import Database

# An account as the chain stores it: a protobuf `Any` with the address and, once it has signed, its key and counts.
_RECORD, _SIGNED = 40, 74
_NUMBER_COUNTER, _NUMBER_INDEX = 9, 29


def account_number(address: str) -> int:
    """An account's number in sign documents.

    A chain counts its accounts; here the number comes from the address, so that an account needs no first deposit
    before it can sign.
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
        """Whether something has made this account: coins, a fee grant, a transaction, or its being a contract."""
        return bool(self._database.execute("SELECT 1 FROM accounts WHERE address = ?", address).fetchone())

    def may_send(self, address: str) -> bool:
        """Whether transactions of this account are taken in."""
        return self._open_to_all or self.exists(address)

    def create(self, address: str, gas: GasMeter | None = None) -> None:
        """Make the account if there is none."""
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
        """Keep that an account's public key came, with its first transaction."""
        self.charge_read(address, gas)
        old = self._record(address)
        if self._database.execute(
            "UPDATE accounts SET has_key = 1 WHERE address = ? AND NOT has_key", address
        ).rowcount:
            self._charge_save(address, gas, old)

    def charge_read(self, address: str, gas: GasMeter) -> None:
        """The price of looking up an account, there or not."""
        gas.charge_read(_key(address) + (self._record(address) if self.exists(address) else 0))

    def _charge_save(self, address: str, gas: GasMeter, old: int) -> None:
        """An account is written with an index of the account numbers; `old` is its record's size until now."""
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
    """A kind byte and the address: 20 bytes, or 32 of a contract; bech32 spells 20 with 38 characters."""
    return 1 + (20 if len(address.rpartition("1")[2]) == 38 else 32)
