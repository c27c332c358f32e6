"""Balances of coins."""

from dataclasses import dataclass

from chain_bridge.embedded.errors import FundsRefused, Refused
from chain_bridge.embedded.gas import GasMeter
from chain_bridge.embedded.state.database import Database

# Bytes read for the module's parameters, and for the check whether a denomination may be sent.
_PARAMETERS, _SEND_ENABLED = 3, 1


@dataclass(frozen=True)
class Coin:
    """An amount of one denomination."""

    denom: str
    amount: int

    def __str__(self) -> str:
        return f"{self.amount}{self.denom}"


def coin(denom: str, amount: str) -> Coin:
    """Parse a coin of a message; raises `Refused` unless the amount is a non-negative integer of at most 256 bits."""
    if not denom or not amount.isascii() or not amount.isdigit() or int(amount) >= 2**256:
        raise Refused(f"{amount}{denom}: invalid coins", "sdk", 10)
    return Coin(denom, int(amount))


def check_coins(coins: list[Coin], text: str = "", reason: str = "invalid coins", code: int = 10) -> None:
    """Raise `Refused` unless every amount is positive and the denominations are distinct and sorted."""
    names = [item.denom for item in coins]
    if names != sorted(set(names)) or not all(item.amount for item in coins):
        raise Refused(f"{text or ','.join(map(str, coins))}: {reason}", "sdk", code)


class Bank:
    """Balances in the database. Amounts are stored as text, because they may exceed 64 bits."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def balance(self, address: str, denom: str) -> int:
        """The balance of `address` in `denom`."""
        row = self._database.execute(
            "SELECT amount FROM balances WHERE address = ? AND denom = ?", address, denom
        ).fetchone()
        return int(row[0]) if row else 0

    def balances(self, address: str) -> list[Coin]:
        """All balances of `address`, ordered by denomination."""
        rows = self._database.execute(
            "SELECT denom, amount FROM balances WHERE address = ? ORDER BY denom", address
        ).fetchall()
        return [Coin(denom, int(amount)) for denom, amount in rows]

    def mint(self, address: str, new: Coin) -> None:
        """Create new coins at `address`."""
        self._set(address, new.denom, self.balance(address, new.denom) + new.amount)

    def burn(self, address: str, coins: list[Coin], gas: GasMeter | None = None) -> None:
        """Destroy coins; raises `FundsRefused` when `address` holds less."""
        for spent in coins:
            held = self.balance(address, spent.denom)
            if held < spent.amount:
                raise FundsRefused(held, spent.amount, spent.denom)
            self._set(address, spent.denom, held - spent.amount)
            _charge(gas, spent.denom, held, held - spent.amount)

    def send(self, sender: str, recipient: str, coins: list[Coin], gas: GasMeter | None = None) -> None:
        """Move coins; raises `FundsRefused` when the sender holds less."""
        self.burn(sender, coins, gas)
        for received in coins:
            held = self.balance(recipient, received.denom)
            self._set(recipient, received.denom, held + received.amount)
            _charge(gas, received.denom, held, held + received.amount)

    def _set(self, address: str, denom: str, amount: int) -> None:
        if amount:
            self._database.execute("INSERT OR REPLACE INTO balances VALUES (?, ?, ?)", address, denom, str(amount))
        else:
            self._database.execute("DELETE FROM balances WHERE address = ? AND denom = ?", address, denom)


def charge_permission(coins: list[Coin], gas: GasMeter) -> None:
    """Charge for the check whether these denominations may be sent."""
    gas.charge_read(_PARAMETERS)
    for item in coins:
        gas.charge_read(_SEND_ENABLED + len(item.denom))


def _charge(gas: GasMeter | None, denom: str, before: int, after: int) -> None:
    """Charge for reading and writing one balance, with its entry in the index by denomination."""
    if gas is None:
        return
    key = 22 + len(denom)
    gas.charge_read(key + (len(str(before)) if before else 0))
    if after:
        gas.charge_write(key)
        gas.charge_write(key + len(str(after)))
    else:
        gas.charge_remove()
        gas.charge_remove()
