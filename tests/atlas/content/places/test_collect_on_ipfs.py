"""Collecting over a real IPFS node: its pin of what nobody needs goes, and then its blocks."""

import os

import pytest

from atlas.content.local.store import LocalStore
from atlas.content.places.collect import collect, local_folder, peek
from atlas.content.places.fallback import FallbackStore

pytestmark = pytest.mark.kubo


@pytest.fixture
def store(kubo, tmp_path) -> FallbackStore:
    return FallbackStore(LocalStore(tmp_path / "content"), [kubo.nodes[2]], [], replicas=1)


def test_what_nobody_needs_leaves_folder_and_node(store, kubo):
    node = kubo.nodes[2]
    needed, unused = (store.put(os.urandom(3 << 20)) for _ in range(2))
    assert store.replicas(unused).enough
    assert peek(local_folder(store), needed) is not None

    dry = collect(store, {needed}, unused_since=4e9, dry_run=True)
    assert store.replicas(unused).enough
    done = collect(store, {needed}, unused_since=4e9)
    assert done == dry
    assert [one.cid for one in done.removed] == [unused]
    assert not store.replicas(unused).enough
    assert not node.holds(unused)

    assert node.collect_garbage() >= 3
    assert store.replicas(needed).enough
    LocalStore(local_folder(store)).remove(needed, unused_since=4e9)
    assert store.fetch(needed).stat().st_size == 3 << 20
