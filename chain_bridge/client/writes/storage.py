"""Announcements of stored content, and audits of them."""

from atlas.ids import Cid, NodeId
from chain_bridge.client.writes.base import OUTCOME, Writes, binary


class StorageWrites(Writes[OUTCOME]):
    """Messages of storage nodes and their audits."""

    def announce_storage(self, cids: list[Cid]) -> OUTCOME:
        """Announce that the key's storage node holds these CIDs."""
        return self._write("announce_storage", {"cids": cids})

    def drop_storage(self, cids: list[Cid]) -> OUTCOME:
        """Announce that the key's storage node no longer holds these CIDs."""
        return self._write("drop_storage", {"cids": cids})

    def open_audit(self, cid: Cid, node: NodeId, nonce: bytes, answer_hash: bytes) -> OUTCOME:
        """Ask a node for SHA-256(nonce ‖ content); only for the contract's owner.

        `answer_hash` is the SHA-256 of the expected answer.
        """
        message = {"cid": cid, "node": node, "nonce": binary(nonce), "answer_hash": binary(answer_hash)}
        return self._write("open_audit", message)

    def answer_audit(self, cid: Cid, answer: bytes) -> OUTCOME:
        """Answer an audit of the key's node."""
        return self._write("answer_audit", {"cid": cid, "answer": binary(answer)})

    def expire_audit(self, cid: Cid, node: NodeId) -> OUTCOME:
        """End an audit that was not answered in time: the node loses the holding, and reputation."""
        return self._write("expire_audit", {"cid": cid, "node": node})
