"""Who holds how much of which coin."""

from dataclasses import dataclass

from chain_bridge.embedded.database import Database
from chain_bridge.embedded.errors import FundsRefused, Refused


@dataclass(frozen=True)
class Coin:
    """An amount of one denomination."""

    denom: str
    amount: int

    def __str__(self) -> str:
        return f"{self.amount}{self.denom}"


def coin(denom: str, amount: str) -> Coin:
    """A coin as messages spell it; raises `Refused` unless the amount is a natural number of at most 256 bits."""
    if not denom or not amount.isascii() or not amount.isdigit() or int(amount) >= 2**256:
        raise Refused(f"{amount}{denom}: invalid coins", "sdk", 10)
    return Coin(denom, int(amount))


class Bank:
    """Balances in the database. Amounts are text there, since they may exceed 64 bits."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def balance(self, address: str, denom: str) -> int:
        """What `address` holds of `denom`."""
        row = self._database.execute(
            "SELECT amount FROM balances WHERE address = ? AND denom = ?", address, denom
        ).fetchone()
        return int(row[0]) if row else 0

    def balances(self, address: str) -> list[Coin]:
        """All that `address` holds, by denomination."""
        rows = self._database.execute(
            "SELECT denom, amount FROM balances WHERE address = ? ORDER BY denom", address
        ).fetchall()
        return [Coin(denom, int(amount)) for denom, amount in rows]

    def mint(self, address: str, new: Coin) -> None:
        """Make coins out of nothing."""
        self._set(address, new.denom, self.balance(address, new.denom) + new.amount)

    def burn(self, address: str, coins: list[Coin]) -> None:
        """Destroy coins; raises `FundsRefused` when `address` holds less."""
        for spent in coins:
            held = self.balance(address, spent.denom)
            if held < spent.amount:
                raise FundsRefused(held, spent.amount, spent.denom)
            self._set(address, spent.denom, held - spent.amount)

    def send(self, sender: str, recipient: str, coins: list[Coin]) -> None:
        """Move coins; raises `FundsRefused` when the sender holds less."""
        self.burn(sender, coins)
        for received in coins:
            self.mint(recipient, received)

    def _set(self, address: str, denom: str, amount: int) -> None:
        if amount:
            self._database.execute("INSERT OR REPLACE INTO balances VALUES (?, ?, ?)", address, denom, str(amount))
        else:
            self._database.execute("DELETE FROM balances WHERE address = ? AND denom = ?", address, denom)
