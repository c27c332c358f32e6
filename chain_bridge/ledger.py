"""The one way to the contract: its messages as methods, signed by one key; its queries in `Queries`."""

import base64
import json
from dataclasses import asdict
from types import TracebackType
from typing import Any, Literal, Self

from cosmpy.protos.cosmos.base.abci.v1beta1.abci_pb2 import TxResponse
from cosmpy.protos.cosmos.base.v1beta1.coin_pb2 import Coin
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgExecuteContract

from chain_bridge.connection import Connection
from chain_bridge.errors import ChainError
from chain_bridge.keys import Key
from chain_bridge.messages import Assignment, NodeCount, NodeKind, SlotAttempt, Tx
from chain_bridge.network import Network
from chain_bridge.queries import Queries
from chain_bridge.sender import Sender, find_transaction


class Ledger(Queries):
    """A client of the contract, embedded or on a public chain; thread-safe, connected on first use.

    Every method raises `ChainUnreachable`, `WrongChain`, `WrongContract` or `ContractRefused`; those that write also
    `InsufficientFunds`, `TransactionFailed` and `OutcomeUnknown`. A write returns when it is in a block.
    """

    def __init__(
        self, network: Network, key: Key | None = None, timeout_seconds: float = 15.0, inclusion_seconds: float = 60.0
    ) -> None:
        """`timeout_seconds` bounds each call, `inclusion_seconds` the wait for a block. Without a key: read only."""
        super().__init__(Connection(network, timeout_seconds))
        self.network = network
        self._key = key
        self._sender = Sender(self._connection, key, inclusion_seconds) if key else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def address(self) -> str:
        """The address that signs; raises `ChainError` without a key."""
        return self._need_key()[0].address

    def close(self) -> None:
        """Close the connection; a later call opens a new one."""
        self._connection.close()

    def find(self, transaction_hash: str) -> Tx | None:
        """What became of a transaction; None while it is in no block. Raises what its failure means if it failed."""
        found = find_transaction(self._connection, transaction_hash)
        return None if found is None else _tx(found)

    def register_node(self, kind: NodeKind, capacity: int, manifest: str, stake: int = 0) -> int:
        """Register the key's node; its id."""
        message = {"kind": kind, "capacity": capacity, "manifest": manifest}
        return int(self._execute("register_node", message, funds=stake).attribute("node_id"))

    def update_node(self, capacity: int | None = None, manifest: str | None = None) -> Tx:
        """Change the key's node; what is None stays."""
        return self._execute("update_node", {"capacity": capacity, "manifest": manifest})

    def heartbeat(self) -> Tx:
        """Say that the key's node is there."""
        return self._execute("heartbeat", {})

    def create_job(
        self,
        key: str,
        spec: str,
        dataset: str,
        shards: int,
        rounds: int,
        reward: int,
        lease_seconds: int,
        escrow: int,
    ) -> int:
        """Open a job and pay its escrow; its id. A key that this address used before is refused."""
        message = {
            "key": key,
            "spec": spec,
            "dataset": dataset,
            "shards": shards,
            "rounds": rounds,
            "reward": str(reward),
            "lease_seconds": lease_seconds,
        }
        return int(self._execute("create_job", message, funds=escrow).attribute("job_id"))

    def assign_batch(self, job: int, round: int, items: list[Assignment]) -> Tx:  # noqa: A002
        """Lease slots of a round to nodes, all or none."""
        return self._execute("assign_batch", {"job": job, "round": round, "items": _mappings(items)})

    def complete_batch(self, job: int, round: int, items: list[SlotAttempt]) -> Tx:  # noqa: A002
        """Accept the results of leases."""
        return self._execute("complete_batch", {"job": job, "round": round, "items": _mappings(items)})

    def release_batch(self, job: int, round: int, items: list[SlotAttempt]) -> Tx:  # noqa: A002
        """End leases without a result or a penalty, as the job's owner or the node that holds them."""
        return self._execute("release_batch", {"job": job, "round": round, "items": _mappings(items)})

    def expire_leases(self, job: int, round: int, limit: int, start_after_slot: int | None = None) -> Tx:  # noqa: A002
        """End leases that are no longer live; the attribute `expired` counts them."""
        message = {"job": job, "round": round, "limit": limit, "start_after_slot": start_after_slot}
        return self._execute("expire_leases", message)

    def submit_round(
        self,
        job: int,
        round: int,  # noqa: A002
        root: bytes,
        leaf_count: int,
        checkpoint: str,
        evidence: str,
        per_node: list[NodeCount],
    ) -> Tx:
        """Fix a round's outcome and reserve its pay."""
        message = {
            "job": job,
            "round": round,
            "root": base64.b64encode(root).decode(),
            "leaf_count": leaf_count,
            "checkpoint": checkpoint,
            "evidence": evidence,
            "per_node": _mappings(per_node),
        }
        return self._execute("submit_round", message)

    def settle(self, job: int, round: int) -> Tx:  # noqa: A002
        """Credit the nodes of a submitted round, after the challenge window."""
        return self._execute("settle", {"job": job, "round": round})

    def close_job(self, job: int) -> Tx:
        """End a job; the free rest of its escrow becomes the owner's credit."""
        return self._execute("close_job", {"job": job})

    def withdraw(self) -> Tx:
        """Take the key's credit; the attribute `amount` tells how much."""
        return self._execute("withdraw", {})

    def register_model(self, name: str, version: int, cid: str, job: int, parent: str | None = None) -> Tx:
        """Name a result of a job."""
        message = {"name": name, "version": version, "cid": cid, "job": job, "parent": parent}
        return self._execute("register_model", message)

    def update_ownership(
        self,
        action: Literal["transfer_ownership", "accept_ownership", "renounce_ownership"],
        new_owner: str | None = None,
    ) -> Tx:
        """Hand the contract's administration over in two steps, or give it up."""
        if action == "transfer_ownership":
            return self._execute("update_ownership", {action: {"new_owner": new_owner, "expiry": None}})
        return self._execute("update_ownership", action)

    def _execute(self, name: str, body: Any, funds: int = 0) -> Tx:
        key, sender = self._need_key()
        coins = [Coin(denom=self.network.denom, amount=str(funds))] if funds else []
        message = MsgExecuteContract(
            sender=key.address, contract=self.contract, msg=json.dumps({name: body}).encode(), funds=coins
        )
        return _tx(sender.send([message]))

    def _need_key(self) -> tuple[Key, Sender]:
        if self._key is None or self._sender is None:
            raise ChainError("This ledger was opened without a key, so it can only read. Open it with a key.")
        return self._key, self._sender


def _tx(answer: TxResponse) -> Tx:
    events = [{item.key: item.value for item in event.attributes} for event in answer.events if event.type == "wasm"]
    return Tx(answer.txhash, answer.height, answer.gas_used, events)


def _mappings(items: list[Assignment] | list[SlotAttempt] | list[NodeCount]) -> list[dict[str, Any]]:
    return [asdict(item) for item in items]
