"""Administration of the contract by its owner."""

from typing import Literal

from chain_bridge.client.writes.base import OUTCOME, Writes

_AMOUNTS = ("min_stake", "challenge_bond")


class AdministrationWrites(Writes[OUTCOME]):
    """Messages of the contract's owner."""

    def update_config(self, **change: int | None) -> OUTCOME:
        """Change settings, named as in `ContractConfig` (all but `denom`); omitted settings keep their values."""
        fields = {name: _setting(name, value) for name, value in change.items()}
        return self._write("update_config", {"change": fields})

    def pause(self, paused: bool) -> OUTCOME:
        """Pause all messages but heartbeats, the ending of leases, stake claims and withdrawals; or resume."""
        return self._write("pause", {"paused": paused})

    def withdraw_treasury(self, to: str, amount: int) -> OUTCOME:
        """Send a part of the treasury to an address."""
        return self._write("withdraw_treasury", {"to": to, "amount": str(amount)})

    def update_ownership(
        self, action: Literal["transfer_ownership", "accept_ownership"], new_owner: str | None = None
    ) -> OUTCOME:
        """Transfer the contract's ownership: its owner offers it to `new_owner`, whose key then accepts it."""
        if action == "transfer_ownership":
            return self._write("update_ownership", {action: {"new_owner": new_owner, "expiry": None}})
        return self._write("update_ownership", action)


def _setting(name: str, value: int | None) -> int | str | None:
    return str(value) if name in _AMOUNTS and value is not None else value
