"""One Kubo node over its RPC: through `ipfshttpclient` where that still works, otherwise through `kubo.rpc`."""

import io
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from atlas.content.format.cid import parse_cid
from atlas.content.format.dag import LARGEST_BLOCK
from atlas.content.kubo.answers import DagStat, Identity, Provider, RepositoryStat
from atlas.content.kubo.rpc import GRACE_SECONDS, KuboRpc
from atlas.content.kubo.upload import path_upload, stream_upload
from atlas.errors import ContentError, ContentNotFound, ContentUnreachable, CorruptContent
from atlas.ids import Cid

PIECE_BYTES = 1 << 18
PROVIDER_EVENT = 4
"""The number of the query event that carries providers, from go-libp2p's core/routing/query.go."""
ADD_OPTIONS = {
    "cid-version": "1",
    "raw-leaves": "true",
    "hash": "sha2-256",
    "chunker": "size-1048576",
    "max-file-links": "1024",
    "max-directory-links": "0",
    "max-hamt-fanout": "256",
    "trickle": "false",
    "inline": "false",
    "hidden": "true",
    "preserve-mode": "false",
    "preserve-mtime": "false",
    "progress": "false",
}
"""The profile unixfs-v1-2025, regardless of the node's own settings. No option sets the size from which a folder
becomes a HAMT."""


class KuboNode:
    """One Kubo node; thread-safe, and no connection is made before the first call.

    Every call raises `ContentUnreachable` when the node does not answer, `ContentNotFound` when it answers that it
    neither has nor can find the content, and `ContentError` with the node's message for other errors.
    `$ATLAS_IPFS_AUTHORIZATION`, if set, is sent as the header Authorization.
    """

    def __init__(self, url: str, timeout_seconds: float = 30.0) -> None:
        """`timeout_seconds`: the longest silence before a call fails."""
        self._rpc = KuboRpc(url, timeout_seconds)
        self.name = self._rpc.url

    def add(self, path: Path, pin: bool = True) -> Cid:
        """Send a file or folder and return its CID. Idempotent: a repeated call creates the same blocks."""

        def send() -> Cid:
            last = ""
            options = {**ADD_OPTIONS, "pin": str(pin).lower()}
            for line in self._rpc.lines("add", options=options, upload=path_upload(path)):
                last = str(line["Hash"])
            return parse_cid(last)

        return self._rpc.call("add", send)

    def block(self, cid: Cid, timeout_seconds: float | None = None) -> bytes:
        """UNVERIFIED bytes of one block, from this node or from any node that it can reach in time."""
        parse_cid(cid)
        seconds = timeout_seconds or self._rpc.timeout_seconds
        return self._rpc.call("block/get", lambda: self._read_block(cid, seconds))

    def put_block(self, data: bytes) -> Cid:
        """Store one block as a raw leaf, unpinned; returns its CID."""
        put = self._rpc.client.block.put
        return self._rpc.call("block/put", lambda: Cid(str(put(io.BytesIO(data))["Key"])))

    def holds(self, cid: Cid) -> bool:
        """Whether the node has pinned `cid` recursively, and so the whole DAG; asks no other node."""
        pins = self._rpc.client.pin
        try:
            run = self._rpc.call
            return run("pin/ls", lambda: cid in pins.ls(parse_cid(cid), type="recursive", offline=True)["Keys"])
        except ContentNotFound:
            return False

    def dag_stat(self, cid: Cid) -> DagStat:
        """The size of a whole DAG; the node searches its swarm for missing blocks."""

        def ask() -> DagStat:
            options = {"progress": "false"}
            *_, last = self._rpc.lines("dag/stat", [cid], options, timeout_seconds=self._rpc.timeout_seconds)
            return DagStat(int(last["TotalSize"]), int(last["UniqueBlocks"]))

        parse_cid(cid)
        return self._rpc.call("dag/stat", ask)

    def block_stat(self, cid: Cid) -> int:
        """Bytes of one block."""
        stat = self._rpc.client.block.stat
        return self._rpc.call("block/stat", lambda: int(stat(parse_cid(cid), **self._limit())["Size"]))

    def pin(self, cid: Cid, name: str = "", timeout_seconds: float | None = None) -> None:
        """Make the node fetch the missing blocks of `cid` and pin it.

        `timeout_seconds`: raises `ContentNotFound` after this long without a new block.
        """
        self._rpc.call("pin/add", lambda: self._pin(parse_cid(cid), name, timeout_seconds))

    def unpin(self, cid: Cid) -> None:
        """Unpin `cid`, so that garbage collection may remove it; raises `ContentNotFound` when it is not pinned."""
        remove = self._rpc.client.pin.rm
        self._rpc.call("pin/rm", lambda: remove(parse_cid(cid)))

    def pins(self) -> dict[Cid, str]:
        """The recursive pins of CIDs in our format, with their names."""

        def ask() -> dict[Cid, str]:
            keys = self._rpc.client.pin.ls(type="recursive", opts={"names": "true"})["Keys"]
            return {Cid(cid): str(pin.get("Name", "")) for cid, pin in sorted(keys.items()) if cid.startswith("baf")}

        return self._rpc.call("pin/ls", ask)

    def export_car(self, cid: Cid) -> Iterator[bytes]:
        """A CAR of the whole DAG, streamed and UNVERIFIED; the node searches its swarm for missing blocks.

        If a block is not found, the stream may end early without an error, so the caller must check that it is
        complete.
        """
        self.block_stat(cid)  # fails early if the root is missing
        with self._rpc.post("dag/export", [parse_cid(cid)], {"progress": "false"}) as response:
            yield from response.iter_content(PIECE_BYTES)

    def import_car(self, chunks: Iterable[bytes]) -> list[Cid]:
        """Store all blocks of a CAR, pin its roots and return their CIDs; the node checks every block."""
        roots = []
        with self._rpc.calling("dag/import"):
            for line in self._rpc.lines("dag/import", options={"stats": "false"}, upload=stream_upload(chunks)):
                root = line["Root"]
                if root.get("PinErrorMsg"):
                    raise ContentError(f"{self.name} cannot pin {root['Cid']['/']}: {root['PinErrorMsg']}")
                roots.append(Cid(str(root["Cid"]["/"])))
        return roots

    def provide(self, cid: Cid) -> None:
        """Announce to the swarm now that this node has `cid`; fails if it has no peers."""
        for _ in self._rpc.lines("routing/provide", [parse_cid(cid)], timeout_seconds=self._rpc.timeout_seconds):
            pass

    def find_providers(self, cid: Cid, most: int = 20, timeout_seconds: float = 10.0) -> list[Provider]:
        """Peers that claim to have `cid` and are found in time, sorted by peer id."""
        found: dict[str, list[str]] = {}
        options = {"num-providers": str(most)}
        lines = self._rpc.lines("routing/findprovs", [parse_cid(cid)], options, timeout_seconds=timeout_seconds)
        with suppress(ContentNotFound), self._rpc.calling("routing/findprovs"):  # not found: the search timed out
            for line in lines:
                if line.get("Type") == PROVIDER_EVENT:
                    for peer in line.get("Responses") or []:
                        found.setdefault(str(peer["ID"]), [str(address) for address in peer.get("Addrs") or []])
        return [Provider(peer_id, addresses) for peer_id, addresses in sorted(found.items())][:most]

    def publish_name(self, cid: Cid, lifetime_seconds: int) -> str:
        """Publish `cid` under the node's IPNS name, and return that name, which is its peer id."""
        publish = self._rpc.client.name.publish
        options = {"allow-offline": "true", "quieter": "true"}
        path = f"/ipfs/{parse_cid(cid)}"
        self._rpc.call(
            "name/publish",
            lambda: publish(path, resolve=False, lifetime=f"{lifetime_seconds}s", opts=options),
        )
        return self.identity().peer_id

    def resolve_name(self, peer_id: str, timeout_seconds: float = 10.0) -> Cid:
        """Resolve a peer's IPNS name to a CID; raises `ContentNotFound` when it is not found in time."""

        def ask() -> Cid:
            limit = self._limit(timeout_seconds)
            answer = self._rpc.client.name.resolve(f"/ipns/{peer_id}", recursive=True, nocache=True, **limit)
            return parse_cid(str(answer["Path"]).removeprefix("/ipfs/"))

        return self._rpc.call("name/resolve", ask)

    def identity(self) -> Identity:
        """Peer id, addresses with the peer id, and version of the node."""

        def ask() -> Identity:
            answer, version = self._rpc.client.id(), self._rpc.client.version()
            addresses = [str(address) for address in answer["Addresses"] or []]
            return Identity(str(answer["ID"]), addresses, str(version["Version"]))

        return self._rpc.call("id", ask)

    def peers(self) -> list[str]:
        """Peer ids of the nodes that this node is connected to."""
        ask = self._rpc.client.swarm.peers
        return self._rpc.call("swarm/peers", lambda: sorted({str(peer["Peer"]) for peer in ask()["Peers"] or []}))

    def connect(self, multiaddr: str) -> None:
        """Connect to a node at a multiaddress /ip4/…/tcp/…/p2p/PEER."""
        limit = self._rpc.timeout_seconds
        run = self._rpc.lines
        self._rpc.call("swarm/connect", lambda: list(run("swarm/connect", [multiaddr], timeout_seconds=limit)))

    def repository(self) -> RepositoryStat:
        """Storage use and storage limit of the node."""

        def ask() -> RepositoryStat:
            stat = self._rpc.client.repo.stat()
            return RepositoryStat(int(stat["RepoSize"]), int(stat["StorageMax"]), int(stat["NumObjects"]))

        return self._rpc.call("repo/stat", ask)

    def collect_garbage(self) -> int:
        """Remove every unpinned block; returns the number of blocks removed."""
        removed = 0
        for line in self._rpc.lines("repo/gc"):
            if line.get("Error"):
                raise ContentError(f"{self.name} stopped collecting garbage after {removed} blocks: {line['Error']}")
            removed += bool(line.get("Key"))
        return removed

    def _read_block(self, cid: Cid, seconds: float) -> bytes:
        data = bytearray()
        deadline = time.monotonic() + seconds + GRACE_SECONDS
        with self._rpc.post("block/get", [cid], timeout_seconds=seconds) as response:
            for piece in response.raw.stream(PIECE_BYTES, decode_content=False):
                data += piece
                if len(data) > LARGEST_BLOCK:
                    raise CorruptContent(f"{self.name} sent more than {LARGEST_BLOCK} bytes for the block {cid}.")
                if time.monotonic() > deadline:
                    raise ContentUnreachable(f"{self.name} took more than {seconds:g} s to send the block {cid}.")
        return bytes(data)

    def _pin(self, cid: Cid, name: str, timeout_seconds: float | None) -> None:
        patience = timeout_seconds or self._rpc.timeout_seconds
        fetched, since = 0, time.monotonic()
        options = {"progress": "true", **({"name": name} if name else {})}
        for line in self._rpc.lines("pin/add", [cid], options):
            if line.get("Pins"):
                return
            if int(line.get("Progress") or 0) > fetched:
                fetched, since = int(line["Progress"]), time.monotonic()
            if time.monotonic() - since > patience:
                raise ContentNotFound(
                    f"{self.name} found {fetched} blocks of {cid} and then none for {patience:g} s. Start a node that "
                    "holds the rest and try again."
                )
        raise ContentUnreachable(f"{self.name} closed the connection while it pinned {cid}. Try again.")

    def _limit(self, timeout_seconds: float | None = None) -> dict[str, Any]:
        """Timeout arguments of a client call: the limit for the node, and a slightly longer one for the client."""
        seconds = timeout_seconds or self._rpc.timeout_seconds
        return {"timeout": seconds + GRACE_SECONDS, "opts": {"timeout": f"{seconds:g}s"}}
