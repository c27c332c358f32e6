"""A store over several nodes and gateways, of which some are silent, some lie and some lack what is asked for."""

import io
import logging
import random
import signal
import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from atlas.content.format.car import read_car
from atlas.content.format.cid import cid_of_bytes, cid_of_path
from atlas.content.format.dag import blocks_of, parse_node
from atlas.content.kubo.node import KuboNode
from atlas.content.local.store import LocalStore
from atlas.content.places.fallback import FallbackStore
from atlas.content.places.gateway import Gateway
from atlas.content.places.health import DISTRUST_SECONDS, LONGEST_PAUSE_SECONDS, pause_seconds
from atlas.errors import ContentError, ContentNotFound, ContentUnreachable, CorruptContent
from tests.support.content.block_servers import BlockServer

MIB = 1 << 20
FAR_FUTURE = 1e11


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Node:
    """A node in memory, with the methods of `KuboNode` that a store needs; its faults are set from outside."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.blocks: dict[str, bytes] = {}
        self.pinned: set[str] = set()
        self.swarm: list[Node] = []
        self.silent = False
        self.full = False
        self.lying = False
        self.asked: Counter[str] = Counter()

    def add(self, path: Path, pin: bool = True) -> str:
        self._ask("add")
        found = list(blocks_of(path))
        return self._keep([found])[0]

    def import_car(self, chunks) -> list[str]:
        self._ask("import_car")
        blocks = list(read_car(io.BytesIO(b"".join(chunks))))
        below = {link.cid for block in blocks for link in parse_node(*block).links}
        return self._keep([[*blocks, block] for block in blocks if block.cid not in below])

    def block(self, cid: str, timeout_seconds: float | None = None) -> bytes:
        self._ask("block")
        for node in [self, *self.swarm]:
            if cid in node.blocks and not node.silent:
                return b"other bytes" if self.lying else node.blocks[cid]
        raise ContentNotFound(f"{self.name} found no {cid}")

    def holds(self, cid: str) -> bool:
        self._ask("holds")
        return cid in self.pinned

    def unpin(self, cid: str) -> None:
        self._ask("unpin")
        if cid not in self.pinned:
            raise ContentNotFound(f"{cid} is not pinned")
        self.pinned.remove(cid)

    def _keep(self, contents) -> list[str]:
        if self.full:
            raise ContentError(f"{self.name}: no space left on device")
        for blocks in contents:
            self.blocks |= dict(blocks)
        roots = [blocks[-1].cid for blocks in contents]
        self.pinned.update(roots)
        return [cid_of_bytes(b"something else")] if self.lying else roots

    def _ask(self, what: str) -> None:
        self.asked[what] += 1
        if self.silent:
            raise ContentUnreachable(f"{self.name} does not answer")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def nodes():
    return [Node("own"), Node("second"), Node("third")]


@pytest.fixture
def open_store(tmp_path, nodes, clock):
    def open_store(replicas: int = 1, gateways=(), of=None, folder: str = "store") -> FallbackStore:
        local = LocalStore(tmp_path / folder)
        return FallbackStore(local, nodes if of is None else of, gateways, replicas, clock)

    return open_store


@pytest.fixture
def store(open_store):
    return open_store()


@pytest.fixture
def large(tmp_path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(random.Random(1).randbytes(3 * MIB + 7))
    return path


def forget_local(store: FallbackStore, cid: str) -> None:
    store.local.unpin(cid)
    store.local.remove(cid, unused_since=FAR_FUTURE)
    assert not store.local.has(cid)


def test_what_is_put_is_here_and_on_the_first_node(store, nodes):
    cid = store.put(b"a document")
    assert cid == cid_of_bytes(b"a document")
    assert store.local.read(cid) == b"a document"
    assert [cid in node.pinned for node in nodes] == [True, False, False]
    assert nodes[0].asked == {"add": 1}, "one request for a small document"
    assert store.replicas(cid).holders == ["own"] and store.replicas(cid).enough


def test_files_and_folders_come_back_from_a_node(store, nodes, large, tmp_path):
    folder = tmp_path / "folder"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "words").write_text("words")
    for source in (large, folder):
        cid = store.put(source)
        forget_local(store, cid)
        assert cid_of_path(store.fetch(cid)) == cid == cid_of_path(source)


def test_a_small_document_is_read_in_one_request_and_then_in_none(store, nodes):
    cid = store.put(b"a document")
    forget_local(store, cid)
    nodes[0].asked.clear()
    assert store.read(cid) == store.read(cid) == b"a document"
    assert nodes[0].asked == {"block": 1}
    assert not nodes[1].asked and not nodes[2].asked


def test_as_many_nodes_as_wanted_take_it(open_store, nodes):
    store = open_store(replicas=2)
    cid = store.put(b"twice")
    assert store.replicas(cid).holders == ["own", "second"]
    assert store.under_replicated() == []


def test_another_node_takes_it_when_the_first_is_silent(store, nodes, clock):
    nodes[0].silent = True
    cid = store.put(b"a document")
    assert store.replicas(cid).holders == ["second"]
    assert store.replicas(cid).silent == ["own"]
    nodes[0].asked.clear()
    store.put(b"another")
    assert not nodes[0].asked, "a silent node has its pause"
    nodes[0].silent = False
    clock.now += pause_seconds(100)
    assert store.replicas(store.put(b"a third")).holders == ["own"]


def test_when_no_node_takes_it_the_error_says_where_it_is(store, nodes):
    for node in nodes:
        node.silent = True
    with pytest.raises(ContentUnreachable, match=f"it is in {store.local.root}, but none of the nodes own, second"):
        store.put(b"a document")
    cid = cid_of_bytes(b"a document")
    assert store.local.has(cid)
    assert [replicas.cid for replicas in store.under_replicated()] == [cid]


def test_a_node_whose_disk_is_full_is_replaced(open_store, nodes, caplog):
    nodes[0].full = True
    store = open_store(replicas=2)
    assert store.replicas(store.put(b"a document")).holders == ["second", "third"]
    assert "own: no space left on device" in caplog.text


def test_a_node_that_keeps_something_else_is_found_out(store, nodes, caplog):
    nodes[0].lying = True
    cid = store.put(b"a document")
    assert cid in nodes[1].pinned
    assert f"sent {cid}, it answered {cid_of_bytes(b'something else')}" in caplog.text


def test_missing_copies_are_remembered_reported_and_made_up_for(open_store, nodes, clock, caplog):
    nodes[1].silent = nodes[2].silent = True
    store = open_store(replicas=2)
    with caplog.at_level(logging.WARNING):
        cid = store.put(b"wanted twice")
    assert f"{cid}: stored on 1 node, expected on 2" in caplog.text
    [short] = open_store(replicas=2).under_replicated()
    assert (short.cid, short.wanted, short.holders, short.silent) == (cid, 2, ["own"], ["second", "third"])
    nodes[1].silent = nodes[2].silent = False
    assert store.replicate(cid).enough
    assert store.replicas(cid).holders == ["own", "second"]
    assert open_store(replicas=2).under_replicated() == []


def test_the_next_put_makes_up_for_missing_copies(open_store, nodes, clock):
    store = open_store(replicas=2)
    nodes[1].silent = nodes[2].silent = True
    first = store.put(b"first")
    nodes[1].silent = nodes[2].silent = False
    clock.now += pause_seconds(100)
    store.put(b"second")
    assert first in nodes[1].pinned
    assert store.under_replicated() == []


def test_a_copy_that_somebody_else_made_counts(open_store, nodes, large):
    store = open_store(replicas=2)
    nodes[1].silent = nodes[2].silent = True
    store.put(large)
    nodes[1].silent = False
    nodes[1].add(large)
    assert store.under_replicated() == []
    nodes[1].asked.clear()
    store.put(large)
    assert nodes[1].asked["add"] == 0, "what a node holds is not sent again"


def test_many_small_files_are_one_request_a_node(open_store, nodes):
    store = open_store(replicas=2)
    documents = [f"document {number % 50}".encode() for number in range(60)]
    cids = store.put_many(documents)
    assert cids == [cid_of_bytes(document) for document in documents]
    assert [node.asked for node in nodes] == [{"import_car": 1}, {"import_car": 1}, {}]
    assert set(cids) == nodes[0].pinned == nodes[1].pinned
    assert store.put_many([]) == []


def test_a_lying_node_is_passed_over_and_remembered_after_a_restart(open_store, nodes, large, clock):
    store = open_store(replicas=2)
    cid = store.put(large)
    nodes[0].lying = True
    forget_local(store, cid)
    assert store.fetch(cid).read_bytes() == large.read_bytes()
    again = open_store(replicas=2)
    forget_local(again, cid)
    nodes[0].asked.clear()
    assert again.fetch(cid).read_bytes() == large.read_bytes()
    assert not nodes[0].asked
    clock.now += DISTRUST_SECONDS
    nodes[0].lying = False
    forget_local(again, cid)
    again.fetch(cid)
    assert nodes[0].asked["block"]


def test_liars_alone_give_an_error_and_no_content(store, nodes):
    cid = store.put(b"a document")
    forget_local(store, cid)
    nodes[0].lying = True
    with pytest.raises(CorruptContent, match="own failed"):
        store.fetch(cid)
    assert not store.local.has(cid)
    nodes[0].lying = False
    assert store.replicas(store.put(b"more")).holders == ["second"]


def test_a_gateway_helps_when_nodes_lack_it(open_store, nodes, large):
    with BlockServer().running() as server:
        [cid] = server.serve([large])
        store = open_store(gateways=[Gateway(server.url)])
        assert store.has(cid)
        assert store.stat(cid).size == 3 * MIB + 7
        assert server.asked.total() == 1, "the root tells the size"
        assert not store.local.has(cid)
        assert store.fetch(cid).read_bytes() == large.read_bytes()


def test_a_damaged_copy_is_healed_from_a_node(store, large, caplog):
    cid = store.put(large)
    for damage in (store.fetch, store.read):
        path = store.local.fetch(cid)
        path.chmod(0o644)
        path.write_bytes(b"damaged")
        damage(cid)
        assert store.local.fetch(cid).read_bytes() == large.read_bytes()
    assert "is corrupt" in caplog.text


def test_has_goes_by_those_that_answer(store, nodes):
    cid = store.put(b"a document")
    assert store.has(cid)
    forget_local(store, cid)
    assert store.has(cid)
    nodes[1].silent = True
    assert store.has(cid)
    nodes[0].silent = True
    assert not store.has(cid)
    assert not store.has(cid_of_bytes(b"nobody has this"))


def test_has_asks_a_place_that_failed_only_when_no_other_is_well(store, nodes):
    cid = store.put(b"a document")
    forget_local(store, cid)
    for node in nodes:
        node.silent = True
    assert not store.has(cid)
    nodes[0].silent = False
    assert store.has(cid), "all are in a pause, so all are asked"
    nodes[1].asked.clear()
    assert store.has(cid)
    assert not nodes[1].asked


def test_has_and_fetch_reach_what_the_swarm_of_the_first_node_holds(open_store, nodes):
    agent = Node("agent's, which we do not know")
    nodes[0].swarm.append(agent)
    elsewhere = open_store(of=[agent], folder="agent")
    cid = elsewhere.put(b"a result")
    store = open_store()
    assert store.has(cid)
    assert store.read(cid) == b"a result"


def test_stat_of_what_is_nowhere(store):
    with pytest.raises(ContentNotFound):
        store.stat(cid_of_bytes(b"nobody has this"))


@pytest.mark.parametrize("method", ["fetch", "read", "has", "stat", "pin", "unpin", "replicas", "replicate"])
def test_text_that_is_no_cid_is_refused(store, nodes, method):
    with pytest.raises(ContentError, match="not a content identifier"):
        getattr(store, method)("../../etc/passwd")
    assert not any(node.asked for node in nodes)


def test_pins_reach_our_nodes_and_silence_stops_none_of_the_local_work(open_store, nodes):
    store = open_store(replicas=2)
    nodes[1].silent = nodes[2].silent = True
    cid = store.put(b"a document")
    store.pin(cid)
    [held] = store.held()
    assert held.pinned and held.cid == cid
    assert store.remove(cid, FAR_FUTURE) == 0
    assert cid in nodes[0].pinned
    store.unpin(cid)
    [held] = store.held()
    assert not held.pinned
    assert cid in nodes[0].pinned, "a job may need it"
    nodes[0].silent = True
    store.unpin(cid)


def test_what_a_silent_node_keeps_is_let_go_when_it_answers(store, nodes, clock):
    cid = store.put(b"a document")
    nodes[0].silent = True
    assert store.remove(cid, FAR_FUTURE) == len(b"a document")
    assert not store.local.has(cid) and cid in nodes[0].pinned
    nodes[0].silent = False
    clock.now += pause_seconds(100)
    store.put(b"another")
    store.remove(cid_of_bytes(b"another"), FAR_FUTURE)
    assert nodes[0].pinned == set()


def test_what_others_put_on_a_shared_node_stays(open_store, nodes):
    coordinator, agent = open_store(folder="coordinator"), open_store(folder="agent")
    shard = coordinator.put(b"a shard")
    result = agent.put(b"a result")
    agent.fetch(shard)
    assert agent.trim(0) == len(b"a shard") + len(b"a result")
    assert nodes[0].pinned == {shard}
    assert coordinator.has(shard) and not agent.local.has(result)


def test_trim_lets_go_on_the_first_node_only_and_keeps_pins(open_store, nodes):
    store = open_store(replicas=2)
    kept, gone = store.put(b"kept"), store.put(b"gone")
    store.pin(kept)
    assert store.trim(0) == len(b"gone")
    assert [held.cid for held in store.held()] == [kept]
    assert nodes[0].pinned == {kept}
    assert nodes[1].pinned == {kept, gone}
    assert store.read(gone) == b"gone"


def test_content_that_is_in_use_stays_everywhere(store, nodes):
    cid = store.put(b"a document")
    assert store.remove(cid, unused_since=0.0) == 0
    assert store.has(cid) and cid in nodes[0].pinned


def test_two_stores_put_the_same_content_at_once(open_store, nodes, large):
    cids = []
    with ExitStack() as stack:
        for _ in range(3):
            thread = threading.Thread(target=lambda: cids.append(open_store().put(large)))
            stack.callback(thread.join)
            thread.start()
    assert cids == [cid_of_path(large)] * 3
    assert nodes[0].pinned == set(cids)
    assert open_store().under_replicated() == []


def test_nothing_runs_after_a_call(store, large):
    cid = store.put(large)
    forget_local(store, cid)
    store.has(cid)
    store.fetch(cid)
    names = [thread.name for thread in threading.enumerate()]
    assert [name for name in names if name.startswith(("ask", "fetch"))] == []


@pytest.fixture
def real(kubo, tmp_path, clock):
    """Open a store over real nodes, by number."""

    def open_store(*numbers: int, replicas: int = 1, gateways=(), folder: str = "real") -> FallbackStore:
        nodes = [kubo.nodes[number] for number in numbers]
        return FallbackStore(LocalStore(tmp_path / folder), nodes, gateways, replicas, clock)

    return open_store


@pytest.fixture
def own_bytes(request):
    """Bytes that no other test put on the shared nodes."""
    return lambda size: random.Random(request.node.name).randbytes(size)


@pytest.mark.kubo
def test_kubo_a_node_s_upload_reaches_a_coordinator_on_another_node(real, own_bytes, tmp_path):
    source = tmp_path / "adapter"
    source.write_bytes(own_bytes(5 * MIB + 3))
    agent, coordinator = real(1, folder="agent"), real(0, folder="coordinator")
    cid = agent.put(source)
    document = agent.put(own_bytes(500))
    assert coordinator.has(cid) and coordinator.has(document)
    assert coordinator.stat(cid).size == 5 * MIB + 3
    assert coordinator.fetch(cid).read_bytes() == source.read_bytes()
    assert coordinator.read(document) == own_bytes(500)
    assert coordinator.replicas(cid).holders == []
    coordinator.pin(cid)
    assert coordinator.replicas(cid).enough


@pytest.mark.kubo
def test_kubo_folders_empty_files_and_many_documents(real, own_bytes, tmp_path):
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "nothing").touch()
    (folder / "deep" / "large").write_bytes(own_bytes(2 * MIB))
    agent, coordinator = real(1, 2, replicas=2, folder="agent"), real(0, folder="coordinator")
    cids = [agent.put(folder), agent.put(b""), *agent.put_many([own_bytes(99)[number:] for number in range(50)])]
    for cid in cids:
        assert agent.replicas(cid).enough
        assert cid_of_path(coordinator.fetch(cid)) == cid


@pytest.mark.kubo
@pytest.mark.slow
def test_kubo_what_nobody_has_is_not_found_and_no_node_is_blamed(real, kubo, own_bytes):
    store = real(0, gateways=[Gateway(kubo.gateways[2])])
    cid = cid_of_bytes(own_bytes(100))
    assert not store.has(cid)
    with pytest.raises(ContentNotFound, match=kubo.urls[0]):
        store.fetch(cid)
    store.put(own_bytes(101))
    assert store.replicas(cid_of_bytes(own_bytes(101))).holders == kubo.urls[:1]


@pytest.mark.kubo
def test_kubo_a_gateway_gives_what_its_node_holds(real, kubo, own_bytes):
    cid = real(2, folder="far").put(own_bytes(3 * MIB))
    store = FallbackStore(real(0).local, [], [Gateway(kubo.gateways[2])], 1)
    assert store.has(cid)
    assert store.read(cid) == own_bytes(3 * MIB)


@pytest.mark.kubo
def test_kubo_unpinned_copies_are_gone_from_the_nodes(real, own_bytes):
    store = real(0, 1, replicas=2)
    kept, trimmed, removed = (store.put(own_bytes(size)) for size in (100, 200, 300))
    store.pin(kept)
    store.remove(removed, FAR_FUTURE)
    assert store.trim(0) == 200
    assert len(store.replicas(kept).holders) == 2
    assert len(store.replicas(trimmed).holders) == 1
    assert store.replicas(removed).holders == []


@pytest.mark.kubo
@pytest.mark.slow
def test_kubo_a_node_that_hangs_stops_nobody(kubo, tmp_path, clock, own_bytes):
    local = LocalStore(tmp_path / "store")
    hanging, well = kubo.running[:2]
    store = FallbackStore(local, [KuboNode(node.rpc, 1.0) for node in (hanging, well)], [], 2, clock)
    hanging.signal(signal.SIGSTOP)
    try:
        cid = store.put(own_bytes(3 * MIB))
        assert store.replicas(cid).holders == [well.rpc]
        assert store.replicas(cid).silent == [hanging.rpc]
        local.remove(cid, FAR_FUTURE)
        assert store.has(cid)
        assert store.read(cid) == own_bytes(3 * MIB)
    finally:
        hanging.signal(signal.SIGCONT)
    clock.now += LONGEST_PAUSE_SECONDS
    store.put(own_bytes(10))
    assert store.replicas(cid).holders == [hanging.rpc, well.rpc]
    assert store.under_replicated() == []
