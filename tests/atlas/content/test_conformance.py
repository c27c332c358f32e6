"""Every store, held to the same promises."""

import shutil

import pytest

from atlas.content.format.cid import cid_of_file
from atlas.content.kubo.node import KuboNode
from atlas.content.local.cached import CachedStore
from atlas.content.local.store import LocalStore
from atlas.content.places.fallback import FallbackStore
from atlas.content.places.kubo_store import KuboStore
from tests.support.content.store_conformance import KeptConformance, StoreConformance


class ImpatientNode(KuboNode):
    """Looks for a block for a fifth of a second at most: in a small swarm what is not found at once is not there."""

    def block(self, cid, timeout_seconds=None):
        return super().block(cid, min(timeout_seconds or 0.2, 0.2))


class TestLocalStore(KeptConformance):
    @pytest.fixture
    def new_store(self, tmp_path):
        return lambda name: LocalStore(tmp_path / "store")


class TestCachedStore(StoreConformance):
    @pytest.fixture
    def new_store(self, tmp_path):
        return lambda name: CachedStore(LocalStore(tmp_path / "stores" / name), LocalStore(tmp_path / "upstream"))


@pytest.mark.kubo
class TestKuboStore(KeptConformance):
    """Each store on a node of its own, in one swarm."""

    @pytest.fixture
    def new_store(self, tmp_path, kubo):
        nodes = dict(zip(("own", "other"), map(ImpatientNode, kubo.urls), strict=False))
        return lambda name: KuboStore(LocalStore(tmp_path / "stores" / name), nodes[name])

    @pytest.mark.slow
    def test_a_file_of_two_levels_of_nodes(self, store, other, tmp_path, kubo):
        source = tmp_path / "sparse"
        with source.open("wb") as file:
            file.truncate(1025 << 20)
        cid = store.put(source)
        assert cid == cid_of_file(source) == kubo.running[0].ipfs("add", "-Q", "--only-hash", source)
        assert other.fetch(cid).stat().st_size == 1025 << 20
        shutil.rmtree(tmp_path)  # gigabytes, which pytest would keep


@pytest.mark.kubo
class TestFallbackStore(KeptConformance):
    """Each store on all nodes, its own first."""

    @pytest.fixture
    def new_store(self, tmp_path, kubo):
        nodes = [ImpatientNode(url) for url in kubo.urls]
        orders = {"own": nodes, "other": nodes[::-1]}
        return lambda name: FallbackStore(LocalStore(tmp_path / "stores" / name), orders[name], [], replicas=1)
