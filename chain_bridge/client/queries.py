"""Typed queries of the contract, one method per query message."""

import json
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

from atlas.ids import JobId, NodeId
from chain_bridge.client.connection import Connection
from chain_bridge.client.messages import (
    Answer,
    Challenge,
    ContractConfig,
    Holding,
    Job,
    Lease,
    Node,
    Ownership,
    RegisteredModel,
    Round,
    Totals,
)
from chain_bridge.errors import WrongContract

CONTRACT_NAME = "atlas-pipelines"
# The contract's messages are fixed within 0.2.x.
CONTRACT_VERSION = "0.2"
_CW2_KEY = b"contract_info"
_PAGE = 100
_ANSWER = TypeVar("_ANSWER", bound=Answer)


class Queries:
    """Reads the contract of a network. Lists are complete and ordered by key, unless a limit is given.

    Each method imports cosmpy's messages on its first call, as `Connection` imports gRPC.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._contract_lock = Lock()
        self._checked_contract: str | None = None

    @property
    def contract(self) -> str:
        """The contract's address, after its name and version were checked.

        Raises `WrongContract` when the network names no contract, or when the address holds another one or another
        version.
        """
        with self._contract_lock:
            if self._checked_contract is None:
                self._checked_contract = self._check_contract()
            return self._checked_contract

    def balance(self, address: str) -> int:
        """The balance of an address in the network's denomination."""
        from cosmpy.protos.cosmos.bank.v1beta1.query_pb2 import QueryBalanceRequest

        request = QueryBalanceRequest(address=address, denom=self._connection.network.denom)
        return self._connection.ask(lambda chain: int(chain.bank.Balance(request).balance.amount))

    def height(self) -> int:
        """The newest block's number."""
        from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2 import GetLatestBlockRequest

        return self._connection.ask(
            lambda chain: int(chain.node.GetLatestBlock(GetLatestBlockRequest()).block.header.height)
        )

    def newest_block(self) -> tuple[int, float]:
        """The newest block's number, and its time in unix seconds."""
        from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2 import GetLatestBlockRequest

        header = self._connection.ask(lambda chain: chain.node.GetLatestBlock(GetLatestBlockRequest()).block.header)
        return int(header.height), header.time.seconds + header.time.nanos / 1e9

    def config(self) -> ContractConfig:
        """The contract's settings."""
        return ContractConfig.model_validate(self._query("config"))

    def paused(self) -> bool:
        """Whether the contract's owner has stopped it."""
        return bool(self._query("paused"))

    def node(self, id: NodeId) -> Node:  # noqa: A002
        """One node; raises `ContractRefused` when there is none."""
        return Node.model_validate(self._query("node", id=id))

    def node_of(self, owner: str) -> Node | None:
        """The node of an address."""
        return _optional(Node, self._query("node_of", owner=owner))

    def nodes(self, start_after: int | None = None, limit: int | None = None) -> list[Node]:
        """Nodes by id."""
        return self._list(Node, "nodes", lambda node: node.id, start_after, limit)

    def job(self, id: JobId) -> Job:  # noqa: A002
        """One job; raises `ContractRefused` when there is none."""
        return Job.model_validate(self._query("job", id=id))

    def job_of(self, owner: str, key: str) -> Job | None:
        """The job that an address created under a key."""
        return _optional(Job, self._query("job_of", owner=owner, key=key))

    def jobs(self, start_after: int | None = None, limit: int | None = None) -> list[Job]:
        """Jobs by id."""
        return self._list(Job, "jobs", lambda job: job.id, start_after, limit)

    def lease(self, job: JobId, round: int, slot: int) -> Lease | None:  # noqa: A002
        """The last lease of a slot."""
        return _optional(Lease, self._query("lease", job=job, round=round, slot=slot))

    def leases(
        self, job: JobId, round: int, start_after: int | None = None, limit: int | None = None  # noqa: A002
    ) -> list[Lease]:  # fmt: skip
        """The last lease of each slot of a round, by slot; slots that were never leased are absent."""
        return self._list(Lease, "leases", lambda lease: lease.slot, start_after, limit, job=job, round=round)

    def leases_of_node(
        self, node: NodeId, start_after: tuple[int, int, int] | None = None, limit: int | None = None
    ) -> list[Lease]:
        """A node's active leases; `start_after` is (job, round, slot)."""
        return self._list(
            Lease, "leases_of_node", lambda found: (found.job, found.round, found.slot), start_after, limit, node=node
        )

    def round(self, job: JobId, round: int) -> Round | None:  # noqa: A002
        """A round's outcome, once it is submitted."""
        return _optional(Round, self._query("round", job=job, round=round))

    def rounds(self, job: JobId, start_after: int | None = None, limit: int | None = None) -> list[Round]:
        """A job's submitted rounds, by number."""
        return self._list(Round, "rounds", lambda found: found.round, start_after, limit, job=job)

    def challenge_at(self, job: JobId, round: int, index: int) -> Challenge | None:  # noqa: A002
        """The challenge of one leaf of a round."""
        return _optional(Challenge, self._query("challenge", job=job, round=round, index=index))

    def challenges(
        self, job: JobId, round: int, start_after: int | None = None, limit: int | None = None  # noqa: A002
    ) -> list[Challenge]:  # fmt: skip
        """The challenges of a round, by leaf."""
        return self._list(Challenge, "challenges", lambda found: found.index, start_after, limit, job=job, round=round)

    def credit(self, address: str) -> int:
        """The amount that an address may withdraw."""
        return int(self._query("credit", address=address))

    def totals(self) -> Totals:
        """All money in the contract."""
        return Totals.model_validate(self._query("totals"))

    def holdings(self, node: NodeId, start_after: str | None = None, limit: int | None = None) -> list[Holding]:
        """The CIDs that a storage node holds, in order."""
        return self._list(Holding, "holdings", lambda found: found.cid, start_after, limit, node=node)

    def models(
        self, name: str | None = None, start_after: tuple[str, int] | None = None, limit: int | None = None
    ) -> list[RegisteredModel]:
        """Registered models, or those of one name; `start_after` is (name, version)."""
        return self._list(
            RegisteredModel, "models", lambda model: (model.name, model.version), start_after, limit, name=name
        )

    def ownership(self) -> Ownership:
        """The owner of the contract, who administers it."""
        return Ownership.model_validate(self._query("ownership"))

    def _query(self, message: str, **arguments: Any) -> Any:
        from cosmpy.protos.cosmwasm.wasm.v1.query_pb2 import QuerySmartContractStateRequest

        question = json.dumps({message: arguments}).encode()
        request = QuerySmartContractStateRequest(address=self.contract, query_data=question)
        return json.loads(self._connection.ask(lambda chain: bytes(chain.wasm.SmartContractState(request).data)))

    def _list(
        self,
        kind: type[_ANSWER],
        message: str,
        key: Callable[[_ANSWER], Any],
        start_after: Any,
        limit: int | None,
        **arguments: Any,
    ) -> list[_ANSWER]:
        """Request pages until the end or the limit."""
        found: list[_ANSWER] = []
        while limit is None or len(found) < limit:
            size = _PAGE if limit is None else min(_PAGE, limit - len(found))
            page = self._query(message, start_after=start_after, limit=size, **arguments)
            found += [kind.model_validate(item) for item in page]
            if len(page) < size:
                break
            start_after = key(found[-1])
        return found

    def _check_contract(self) -> str:
        from cosmpy.protos.cosmwasm.wasm.v1.query_pb2 import QueryRawContractStateRequest

        address = self._connection.network.contract
        if address is None:
            raise WrongContract("The network's settings name no contract. Deploy one, or set its address.")
        request = QueryRawContractStateRequest(address=address, query_data=_CW2_KEY)
        raw = self._connection.ask(lambda chain: bytes(chain.wasm.RawContractState(request).data))
        found = json.loads(raw) if raw else {}
        name, version = found.get("contract", "no cw2 version record"), found.get("version", "")
        if name != CONTRACT_NAME or not f"{version}.".startswith(f"{CONTRACT_VERSION}."):
            raise WrongContract(
                f"{address} holds {name} {version}, expected {CONTRACT_NAME} {CONTRACT_VERSION}. "
                "Correct the network's contract address, migrate the contract, or use the program that fits it."
            )
        return address


def _optional(kind: type[_ANSWER], answer: Any) -> _ANSWER | None:
    return None if answer is None else kind.model_validate(answer)
