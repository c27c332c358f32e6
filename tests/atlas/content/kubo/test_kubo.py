"""A store on a real node that is killed, stopped or full of somebody else's work while it is used."""

import os
import signal
import threading

import pytest

from atlas.content.format.car import car_chunks
from atlas.content.format.cid import cid_of_file
from atlas.content.kubo.node import KuboNode
from atlas.content.local.store import LocalStore
from atlas.content.places.kubo_store import KuboStore
from atlas.errors import ContentUnreachable
from tests.support.content.kubo_nodes import kubo_nodes

pytestmark = pytest.mark.kubo

MIB = 1 << 20


@pytest.fixture(scope="module")
def pair(tmp_path_factory, kubo_is_built):
    """Two nodes of this module's own, to be killed."""
    with kubo_nodes(tmp_path_factory.mktemp("pair") / "home", 2) as nodes:
        yield nodes


@pytest.fixture
def victim(pair):
    """The first node, running; brought back to life at the end."""
    yield pair.running[0]
    if not pair.running[0].alive:
        pair.running[0] = pair.running[0].start_again()


@pytest.fixture
def content(tmp_path):
    path = tmp_path / "content"
    path.write_bytes(os.urandom(20 * MIB + 7))
    return path


class WatchedNode(KuboNode):
    """Counts the blocks that it is asked for, and does something before the one numbered `then`."""

    def __init__(self, url, then=0, what=lambda: None):
        super().__init__(url, timeout_seconds=5)
        self.asked, self.then, self.what = 0, then, what
        self.lock = threading.Lock()

    def block(self, cid, timeout_seconds=None):
        with self.lock:
            self.asked += 1
            if self.asked == self.then:
                self.what()
        return super().block(cid, timeout_seconds)


def files_of(store):
    return [path for path in store.local.root.glob("??/*") if path.is_file()]


def test_a_store_reads_through_its_node_what_another_node_holds(pair, tmp_path, content):
    first = KuboStore(LocalStore(tmp_path / "first"), pair.nodes[0])
    second = KuboStore(LocalStore(tmp_path / "second"), pair.nodes[1])
    cid = first.put(content)
    assert first.replicas(cid).holders == [pair.urls[0]]
    assert second.fetch(cid).read_bytes() == content.read_bytes()
    assert second.local.has(cid)
    assert second.replicas(cid).holders == []


def test_a_node_killed_in_mid_fetch_leaves_nothing_half_written_and_the_next_fetch_goes_on(
    pair, victim, tmp_path, content
):
    cid = victim.client.add(content)
    local = LocalStore(tmp_path / "store")
    with pytest.raises(ContentUnreachable, match=victim.rpc):
        KuboStore(local, WatchedNode(victim.rpc, then=12, what=victim.kill)).fetch(cid)
    watched = WatchedNode(victim.rpc)
    store = KuboStore(local, watched)
    assert files_of(store) == []
    assert not local.has(cid)
    pair.running[0] = victim.start_again()
    assert store.fetch(cid).read_bytes() == content.read_bytes()
    assert watched.asked < 20, "what came before the kill is not asked for again"


def test_a_node_killed_in_mid_upload_holds_nothing_and_takes_it_later(pair, victim, content):
    cid = cid_of_file(content)

    def killing():
        for number, chunk in enumerate(car_chunks([content])):
            if number == 12:
                victim.kill()
            yield chunk

    with pytest.raises(ContentUnreachable, match=victim.rpc):
        victim.client.import_car(killing())
    pair.running[0] = victim.start_again()
    assert not victim.client.holds(cid)
    assert victim.client.add(content) == cid
    assert victim.client.holds(cid)


def test_a_put_while_the_node_is_dead_says_so_and_the_next_one_heals_it(pair, victim, tmp_path, content):
    store = KuboStore(LocalStore(tmp_path / "store"), victim.client)
    victim.kill()
    with pytest.raises(ContentUnreachable, match=victim.rpc):
        store.put(content)
    pair.running[0] = victim.start_again()
    assert store.put(content) == cid_of_file(content)
    assert victim.client.holds(cid_of_file(content))


@pytest.mark.slow
def test_a_stopped_node_is_an_error_in_time_and_afterwards_as_good_as_before(victim, content):
    node = KuboNode(victim.rpc, timeout_seconds=0.5)
    cid = node.add(content)
    victim.signal(signal.SIGSTOP)
    try:
        for ask in (node.identity, lambda: node.block(cid), lambda: node.holds(cid), lambda: node.add(content)):
            with pytest.raises(ContentUnreachable, match="did not answer"):
                ask()
    finally:
        victim.signal(signal.SIGCONT)
    assert node.holds(cid)


@pytest.mark.slow
def test_a_restarted_node_keeps_what_it_held_and_exchanges_blocks_as_before(pair, victim, content):
    cid = victim.client.add(content)
    elsewhere = pair.nodes[1].put_block(os.urandom(100))
    victim.kill()
    pair.running[0] = victim.start_again()
    assert victim.client.holds(cid)
    assert len(victim.client.block(elsewhere, timeout_seconds=25)) == 100
    assert pair.nodes[1].block(cid) == victim.client.block(cid)


def test_garbage_collection_during_a_fetch_takes_nothing_that_is_pinned(victim, tmp_path, content):
    cid = victim.client.add(content)
    node = WatchedNode(victim.rpc, then=8, what=lambda: victim.client.collect_garbage())
    store = KuboStore(LocalStore(tmp_path / "store"), node)
    assert store.fetch(cid).read_bytes() == content.read_bytes()


def test_two_nodes_and_four_writers_of_one_content(pair, tmp_path, content):
    stores = [KuboStore(LocalStore(tmp_path / f"{number}"), pair.nodes[number % 2]) for number in range(4)]
    cids = []
    threads = [threading.Thread(target=lambda store=store: cids.append(store.put(content))) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cids == [cid_of_file(content)] * 4
    assert all(node.holds(cids[0]) for node in pair.nodes)
