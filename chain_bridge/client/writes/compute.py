"""Nodes: their registration, stake and heartbeats."""

from atlas.ids import Cid
from chain_bridge.client.writes.base import OUTCOME, Writes, optional_binary


class ComputeWrites(Writes[OUTCOME]):
    """Messages of the key's node. `register_node` returns an id, so `Ledger` defines it."""

    def update_node(
        self, capacity: int | None = None, manifest: Cid | None = None, public_key: bytes | None = None
    ) -> OUTCOME:
        """Change the key's node; None keeps the present value."""
        message = {"capacity": capacity, "manifest": manifest, "public_key": optional_binary(public_key)}
        return self._write("update_node", message)

    def add_stake(self, amount: int) -> OUTCOME:
        """Add to the stake of the key's node."""
        return self._write("add_stake", {}, funds=amount)

    def withdraw_stake(self, amount: int) -> OUTCOME:
        """Begin to unbond a part of the stake of the key's node; at least the contract's minimum stays."""
        return self._write("withdraw_stake", {"amount": str(amount)})

    def claim_stake(self) -> OUTCOME:
        """Turn unbonded stake into the key's credit."""
        return self._write("claim_stake", {})

    def deregister_node(self) -> OUTCOME:
        """Retire the key's node, which must hold no lease and no content; all its stake unbonds."""
        return self._write("deregister_node", {})

    def unjail(self, stake: int = 0) -> OUTCOME:
        """Free the key's node after its time in jail; `stake` is new stake, at least the contract's minimum."""
        return self._write("unjail", {}, funds=stake)

    def heartbeat(self) -> OUTCOME:
        """Send the heartbeat of the key's node."""
        return self._write("heartbeat", {})
