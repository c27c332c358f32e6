"""Follow a contract: read its transactions and update the read model from them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2 import GetBlockByHeightRequest, GetLatestBlockRequest
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import ORDER_BY_ASC, GetTxsEventRequest

from chain_bridge.client.connection import Connection
from chain_bridge.client.network import Network
from chain_bridge.client.queries import Queries
from chain_bridge.errors import TransactionFailed
from chain_bridge.follower.events import ContractEvent, Touched, WatchedContract
from chain_bridge.follower.read_model import OVERLAP_BLOCKS, Cursor, Entities, ReadModel

_PAGE = 100
_MISSING_BLOCK = ("requested block height", "not available", "could not find", "block not found")


@dataclass(frozen=True)
class Pass:
    """The result of one pass."""

    height: int
    """The newest block that it read."""
    events: int
    """The number of new events."""
    rebuilt: bool
    """Whether the read model was rebuilt from the beginning, because the chain was reset."""


class Follower:
    """Keeps a read model of one network's contract. A pass without new events is cheap."""

    def __init__(self, network: Network, model: ReadModel, timeout_seconds: float = 15.0, page: int = _PAGE) -> None:
        self._connection = Connection(network, timeout_seconds)
        self._queries = Queries(self._connection)
        self._denom = network.denom
        self._model = model
        self._page = page

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the read model stays open."""
        self._connection.close()

    def catch_up(self) -> Pass:
        """Read all transactions up to the newest block.

        Raises `ChainUnreachable`, `WrongChain` or `WrongContract`; pages that were read before the error are kept.
        """
        contract = WatchedContract(self._queries.contract, self._denom)
        newest = self._newest()
        rebuilt = self._start_anew_after_reset(newest)
        cursor = self._model.cursor()
        after = max(cursor.height - OVERLAP_BLOCKS, 0) if cursor else 0
        new = 0
        for events, height in self._pages(contract.address, after, newest.height):
            reached = newest if height is None else Cursor(height, self._block(height) or "")
            new += self._model.apply(events, contract, self._look_up, reached)
        return Pass(newest.height, new, rebuilt)

    def _start_anew_after_reset(self, newest: Cursor) -> bool:
        cursor = self._model.cursor()
        if cursor is None:
            return False
        block = self._block(cursor.height) if newest.height >= cursor.height else None
        if not was_reset(cursor, newest.height, block):
            return False
        self._model.forget(cursor)
        return True

    def _pages(self, contract: str, after: int, until: int) -> Iterator[tuple[list[ContractEvent], int | None]]:
        """Each page's events and the height of its last transaction; None, which means `until`, on the last page."""
        query = f"wasm._contract_address='{contract}' AND tx.height>{after} AND tx.height<={until}"
        number = 0
        while True:
            number += 1
            request = GetTxsEventRequest(query=query, order_by=ORDER_BY_ASC, page=number, limit=self._page)
            found = self._connection.ask(lambda chain: chain.transactions.GetTxsEvent(request))  # noqa: B023
            events = [event for answer in found.tx_responses for event in events_of(answer)]
            # The chain refuses a page past the last one.
            if number * self._page >= found.total or not found.tx_responses:
                yield events, None
                return
            yield events, int(found.tx_responses[-1].height)

    def _newest(self) -> Cursor:
        answer = self._connection.ask(lambda chain: chain.node.GetLatestBlock(GetLatestBlockRequest()))
        return Cursor(int(answer.block.header.height), bytes(answer.block_id.hash).hex())

    def _block(self, height: int) -> str | None:
        """A block's id; None when the node has pruned the block."""
        request = GetBlockByHeightRequest(height=height)
        try:
            answer = self._connection.ask(lambda chain: chain.node.GetBlockByHeight(request))
        except TransactionFailed as error:
            if any(words in str(error) for words in _MISSING_BLOCK):
                return None
            raise
        return bytes(answer.block_id.hash).hex()

    def _look_up(self, touched: Touched) -> Entities:
        queries = self._queries
        nodes = queries.nodes() if touched.all_nodes else [queries.node(number) for number in sorted(touched.nodes)]
        rounds = {key: queries.round(*key) for key in sorted(touched.rounds)}
        return Entities(
            nodes=nodes,
            jobs=[queries.job(number) for number in sorted(touched.jobs)],
            rounds=[found for found in rounds.values() if found is not None],
            gone=[key for key, found in rounds.items() if found is None],
            models=[model for name in sorted(touched.models) for model in queries.models(name=name)],
        )


def was_reset(cursor: Cursor, newest_height: int, block_at_cursor: str | None) -> bool:
    """Whether the chain was reset since the cursor was set: it is shorter, or has another block at that height.

    False when the node has pruned that block (None), or when the cursor has no block id.
    """
    if newest_height < cursor.height:
        return True
    return bool(cursor.block) and block_at_cursor is not None and block_at_cursor != cursor.block


def events_of(answer: Any) -> list[ContractEvent]:
    """The events of a transaction; none of one that failed."""
    if answer.code:
        return []
    return [
        ContractEvent(
            str(answer.txhash),
            index,
            int(answer.height),
            str(event.type),
            {str(item.key): str(item.value) for item in event.attributes},
        )
        for index, event in enumerate(answer.events)
    ]
