"""Copies of content on IPFS nodes: making enough of them, and unpinning them."""

import logging
from collections.abc import Sequence
from pathlib import Path

from atlas.content.format.car import car_chunks
from atlas.content.format.cid import is_leaf
from atlas.content.kubo.node import KuboNode
from atlas.content.local.store import LocalStore
from atlas.content.places.health import Copies, Health
from atlas.counts import counted
from atlas.errors import ContentError, ContentNotFound, ContentUnreachable
from atlas.ids import Cid

log = logging.getLogger(__name__)


class Uploads:
    """Uploads content of `local` to `wanted` of `nodes`; `copies` records existing and missing copies."""

    def __init__(
        self, local: LocalStore, nodes: Sequence[KuboNode], wanted: int, health: Health, copies: Copies
    ) -> None:
        self._local = local
        self._nodes = nodes
        self._wanted = wanted
        self._health = health
        self._copies = copies

    def spread(self, cids: Sequence[Cid]) -> None:
        """Upload contents with one request per node; raises `ContentUnreachable` when no node stores them."""
        if not self.upload(cids, []):
            what = cids[0] if len(cids) == 1 else f"{len(cids)} contents, such as {cids[0]}"
            names = ", ".join(node.name for node in self._nodes)
            raise ContentUnreachable(
                f"{what} cannot be fetched by other machines: it is in {self._local.root}, but none of the nodes "
                f"{names} stored it. Start one of them and put it again."
            )

    def upload(self, cids: Sequence[Cid], holders: Sequence[str]) -> list[str]:
        """Upload contents to nodes other than `holders` until enough hold them; returns the names of all holders."""
        self._copies.owe(cids)
        paths = [self._local.fetch(cid) for cid in cids]
        holding = list(holders)
        honest = self._health.order(self._nodes)
        for node in honest + [node for node in self._nodes if node not in honest]:
            if len(holding) >= self._wanted:
                break
            if node.name not in holding and self._upload_to(node, cids, paths):
                holding.append(node.name)
        if len(holding) >= self._wanted:
            self._copies.settle(cids)
        else:
            held = counted(len(holding), "node")
            log.warning("%s: stored on %s, expected on %d", ", ".join(cids[:3]), held, self._wanted)
        return holding

    def let_go(self, cids: Sequence[Cid], nodes: Sequence[KuboNode]) -> None:
        """Unpin our copies on nodes; for an unreachable node, a later call retries."""
        for cid in cids:
            self._copies.let_go(cid, [node.name for node in nodes])
        self._copies.settle(cids)
        usable = {node.name: node for node in self._health.available(self._nodes)}
        for cid, name in self._copies.unwanted():
            if name in usable and self._unpin(usable[name], cid):
                self._copies.gone(cid, name)
            else:
                usable.pop(name, None)

    def _upload_to(self, node: KuboNode, cids: Sequence[Cid], paths: Sequence[Path]) -> bool:
        """Upload contents to a node and return whether it stored them; failures are logged."""
        try:
            if len(cids) == 1 and not is_leaf(cids[0]) and node.holds(cids[0]):
                return True
            self._copies.note(cids, node.name)
            if len(paths) == 1 and paths[0].is_file():
                found = [node.add(paths[0])]
            else:  # as a CAR, because the folder size at which a HAMT starts is a setting of each node
                found = node.import_car(car_chunks(paths))
        except ContentError as error:
            self._health.failed(node.name, error)
            return False
        if sorted(found) != sorted(cids):
            self._health.failed(node.name, f"sent {', '.join(cids[:3])}, it answered {', '.join(found[:3])}")
            return False
        self._health.answered(node.name)
        return True

    def _unpin(self, node: KuboNode, cid: Cid) -> bool:
        """Unpin a content on a node and return whether it is no longer pinned there."""
        try:
            node.unpin(cid)
        except ContentNotFound:
            log.debug("%s was not pinned on %s", cid, node.name)
        except ContentError as error:
            self._health.failed(node.name, error)
            return False
        return True
