"""The blocks: one for each transaction, chained by their hashes."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import GetTxResponse

from chain_bridge.embedded.errors import NoSuchBlock
from chain_bridge.embedded.settings import Settings
from chain_bridge.embedded.state.database import Database


@dataclass(frozen=True)
class Block:
    """The height, time and chain id that a call runs with."""

    height: int
    time_ns: int
    chain_id: str


@dataclass(frozen=True)
class StoredBlock:
    """A block with its hash, its predecessor's, and its transaction's bytes."""

    block: Block
    hash: bytes
    previous: bytes
    data: bytes


class Blocks:
    """Blocks and transactions in the database.

    A block's hash covers the predecessor's hash, the block's time, its transaction and the transaction's outcome. The
    block at height 0 is the genesis block; it covers the time of creation, so a chain that was reset has other hashes.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._chain_id = settings.chain_id

    def latest(self) -> StoredBlock:
        """The newest block; on a new chain, the genesis block at height 0."""
        (height,) = self._database.execute("SELECT MAX(height) FROM blocks").fetchone()
        return self._stored(height)

    def at(self, height: int) -> StoredBlock:
        """One block; raises `NoSuchBlock` unless 1 <= height <= the newest."""
        newest = self.latest().block.height
        if not 1 <= height <= newest:
            raise NoSuchBlock(height, newest)
        return self._stored(height)

    def begin(self, settings: Settings, time_ns: int) -> None:
        """Store the genesis block, from which the hashes start."""
        born = [settings.chain_id, settings.prefix, settings.denom, time_ns]
        self._insert(0, time_ns, hashlib.sha256(json.dumps(born).encode()).digest(), b"")

    def append(self, block: Block, transaction_hash: str, data: bytes, answer: GetTxResponse) -> None:
        """Keep a transaction and its outcome as a block."""
        record = answer.SerializeToString()
        parts = (self.latest().hash, block.time_ns.to_bytes(8, "big"), data, record)
        linked = b"".join(hashlib.sha256(part).digest() for part in parts)
        self._insert(block.height, block.time_ns, hashlib.sha256(linked).digest(), data)
        self._database.execute("INSERT INTO transactions VALUES (?, ?, ?)", transaction_hash, block.height, record)
        for name, value in sorted(set(_attributes(answer))):
            self._database.execute("INSERT INTO attributes VALUES (?, ?, ?)", name, value, block.height)

    def find(self, transaction_hash: str) -> bytes | None:
        """The record of a transaction (a serialized `GetTxResponse`), or None if the chain does not have it."""
        row = self._database.execute("SELECT answer FROM transactions WHERE hash = ?", transaction_hash).fetchone()
        return bytes(row[0]) if row else None

    def _insert(self, height: int, time_ns: int, block_hash: bytes, data: bytes) -> None:
        self._database.execute("INSERT INTO blocks VALUES (?, ?, ?, ?)", height, time_ns, block_hash, data)

    def _stored(self, height: int) -> StoredBlock:
        time_ns, block_hash, data, previous = self._database.execute(
            "SELECT time_ns, hash, data, (SELECT hash FROM blocks WHERE height = this.height - 1) "
            "FROM blocks this WHERE height = ?",
            height,
        ).fetchone()
        return StoredBlock(Block(height, time_ns, self._chain_id), block_hash, previous or b"", data)


def _attributes(answer: GetTxResponse) -> Iterator[tuple[str, str]]:
    """The search keys of a transaction: `type.key` and the value of each attribute of its events."""
    for event in answer.tx_response.events:
        for item in event.attributes:
            yield f"{event.type}.{item.key}", item.value
