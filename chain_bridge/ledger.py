"""The client of the contract: its messages as methods, signed by one key; its queries come from `Queries`."""

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from atlas.ids import Cid, JobId, NodeId
from chain_bridge.client.connection import Connection
from chain_bridge.client.keys import Key
from chain_bridge.client.messages import NodeKind, Tx
from chain_bridge.client.network import Network
from chain_bridge.client.queries import Queries
from chain_bridge.client.writes import AllWrites
from chain_bridge.client.writes.base import optional_binary
from chain_bridge.errors import ChainError
from chain_bridge.outbox.outbox import Outbox
from chain_bridge.outbox.rows import Backlog, OutboxEntry, content_key, one_time_key

if TYPE_CHECKING:
    from chain_bridge.client.sender import Sender
    from chain_bridge.outbox.delivery import Delivery


class Ledger(Queries, AllWrites[Tx]):
    """A client of the contract, embedded or on a public chain; thread-safe, connected on first use.

    Every method raises `ChainUnreachable`, `WrongChain`, `WrongContract` or `ContractRefused`; those that write also
    `InsufficientFunds`, `FeeTooHigh`, `TransactionFailed` and `OutcomeUnknown`. A write returns when it is in a block.

    With an outbox, every write is recorded before it is sent, and its outcome is looked up after a restart. A write
    that raises anything but `OutcomeUnknown` has no effect, now or later. To write while the chain is down, record the
    message with `later` and send it with `flush`.
    """

    def __init__(
        self,
        network: Network,
        key: Key | None = None,
        timeout_seconds: float = 15.0,
        inclusion_seconds: float = 60.0,
        outbox: Outbox | None = None,
    ) -> None:
        """`timeout_seconds` bounds each call, `inclusion_seconds` the wait for a block. Without a key: read only."""
        super().__init__(Connection(network, timeout_seconds))
        self.network = network
        self._key = key
        self._sender: Sender | None = None
        self._delivery: Delivery | None = None
        if key is not None:
            self._open_for_writing(key, inclusion_seconds, outbox)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def address(self) -> str:
        """The address that signs; raises `ChainError` without a key."""
        return self._need_sender().address

    def close(self) -> None:
        """Close the connection; a later call opens a new one."""
        self._connection.close()

    def find(self, transaction_hash: str) -> Tx | None:
        """The outcome of a transaction; None while it is in no block. Raises the error of a failed one."""
        from chain_bridge.client.sender import find_transaction, outcome_of

        found = find_transaction(self._connection, transaction_hash)
        return None if found is None else outcome_of(found)

    def register_node(
        self, kind: NodeKind, capacity: int, manifest: Cid, stake: int = 0, public_key: bytes | None = None
    ) -> NodeId:
        """Register the key's node, or reactivate its retired one; return the id.

        `public_key`, 33 bytes of secp256k1, lets other accounts submit the node's signed heartbeats.
        """
        message = {
            "kind": kind,
            "capacity": capacity,
            "manifest": manifest,
            "public_key": optional_binary(public_key),
        }
        return NodeId(int(self._write("register_node", message, funds=stake).attribute("node_id")))

    def create_job(
        self,
        key: str,
        spec: Cid,
        dataset: Cid,
        shards: int,
        rounds: int,
        reward: int,
        lease_seconds: int,
        escrow: int,
    ) -> JobId:
        """Open a job, pay its escrow and return its id. A key that this address used before is refused."""
        message = {
            "key": key,
            "spec": spec,
            "dataset": dataset,
            "shards": shards,
            "rounds": rounds,
            "reward": str(reward),
            "lease_seconds": lease_seconds,
        }
        return JobId(int(self._write("create_job", message, funds=escrow).attribute("job_id")))

    def later(self, key: str) -> "Later":
        """The messages as methods that only record: `ledger.later("r1-settle").settle(job, 1)`.

        Works while the chain is down. A key belongs to one message: repeating the message returns the recorded entry,
        another message raises `ReplayedKey`. Raises `ChainError` without an outbox.
        """
        return Later(self._need_delivery(), self.network, key)

    def recorded(self, key: str) -> OutboxEntry | None:
        """The entry that `later(key)` recorded, or None. Does not call the chain."""
        delivery = self._need_delivery()
        return delivery.outbox.entry(self._contract_name(), key)

    def flush(self, patience_seconds: float = 0.0) -> Backlog:
        """Send the waiting messages, several in one transaction, and return the remaining backlog.

        A message that the contract refuses is marked as refused and does not block the others. Raises
        `ChainUnreachable` when the chain does not answer within `patience_seconds`, `OutcomeUnknown`, `ChainReset`,
        `InsufficientFunds` and `FeeTooHigh`; waiting messages stay recorded.
        """
        return self._need_delivery().flush(patience_seconds)

    def backlog(self) -> Backlog:
        """The outbox's undecided messages, counted. Does not call the chain."""
        return self._need_delivery().outbox.backlog()

    def _open_for_writing(self, key: Key, inclusion_seconds: float, outbox: Outbox | None) -> None:
        # Imported here and below, as in `Connection`: most programs that open a ledger do not write at once.
        from chain_bridge.client.sender import Sender
        from chain_bridge.outbox.delivery import Delivery

        self._sender = Sender(self._connection, key, inclusion_seconds)
        if outbox is not None:
            outbox.belongs_to(self.network.chain_id, self._sender.address)
            self._delivery = Delivery(outbox, self._sender, lambda: self.contract)

    def _write(self, name: str, body: Any, funds: int = 0) -> Tx:
        from chain_bridge.client.sender import contract_message, outcome_of

        sender = self._need_sender()
        if self._delivery is None:
            return outcome_of(sender.send([contract_message(sender, self.contract, name, body, funds)]))
        key = content_key(name, body, funds) or one_time_key(name)
        return self._delivery.send_now(self._contract_name(), key, name, body, funds)

    def _contract_name(self) -> str:
        return self.network.contract or self.contract

    def _need_sender(self) -> "Sender":
        if self._sender is None:
            raise ChainError("This ledger was opened without a key, so it can only read. Open it with a key.")
        return self._sender

    def _need_delivery(self) -> "Delivery":
        self._need_sender()
        if self._delivery is None:
            raise ChainError("This ledger was opened without an outbox, so it cannot keep messages. Open it with one.")
        return self._delivery


class Later(AllWrites[OutboxEntry]):
    """Records one message under a key; see `Ledger.later`."""

    def __init__(self, delivery: "Delivery", network: Network, key: str) -> None:
        self._delivery = delivery
        self._network = network
        self._key = key

    def _write(self, name: str, body: Any, funds: int = 0) -> OutboxEntry:
        contract = self._network.contract
        if contract is None:
            raise ChainError("The network's settings name no contract. Deploy one, or set its address.")
        return self._delivery.outbox.record(contract, self._key, name, body, funds)
