"""The chain's newest block, and which transactions are in its blocks."""

import hashlib
from pathlib import Path

from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2 import GetBlockByHeightRequest, GetLatestBlockRequest
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import GetBlockWithTxsRequest

from chain_bridge.client.connection import Connection
from chain_bridge.client.network import Network
from chain_bridge.client.signed import BlockRef
from chain_bridge.errors import ChainUnreachable, TransactionFailed


def latest_block(connection: Connection) -> BlockRef:
    """The newest block."""
    answer = connection.ask(lambda chain: chain.node.GetLatestBlock(GetLatestBlockRequest()))
    return BlockRef(int(answer.block.header.height), answer.block_id.hash.hex())


def is_on_chain(connection: Connection, place: BlockRef, height: int) -> bool:
    """Whether the chain, now at `height`, contains this block. True if the node has pruned the block."""
    if height < place.height:
        return False
    if place.height == 0:
        return True
    request = GetBlockByHeightRequest(height=place.height)
    try:
        answer = connection.ask(lambda chain: chain.node.GetBlockByHeight(request))
    except ChainUnreachable:
        raise
    except TransactionFailed:
        return True
    return bool(answer.block_id.hash.hex() == place.block)


def in_blocks(connection: Connection, transaction_hash: str, first: int, last: int) -> bool:
    """Whether a transaction is in one of the blocks from `first` to `last`, both inclusive."""
    return any(transaction_hash in _hashes(connection, height) for height in range(max(first, 1), last + 1))


def _hashes(connection: Connection, height: int) -> set[str]:
    request = GetBlockWithTxsRequest(height=height)
    block = connection.ask(lambda chain: chain.transactions.GetBlockWithTxs(request).block)
    return {hashlib.sha256(data).hexdigest().upper() for data in block.data.txs}


def describe_reset(network: Network, outbox: Path, known: int, height: int) -> str:
    """The error text for a chain at `height` that lacks the block `known`, which the outbox recorded."""
    return (
        f"The chain {network.chain_id} at {network.url} is not the one that {outbox} was used with: it was reset, or "
        f"its newest blocks were lost, as in a copy of chain.db without chain.db-wal (it is at block {height}, the "
        f"outbox knows block {known})."
    )
