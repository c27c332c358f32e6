"""A dataset with sealed shards: the manifest has their sizes, and no byte of a row is in the store."""

import json

import pytest

from atlas.content.sealed.sealing import DatasetKey, file_key, open_sealed, read_header, seal_file
from atlas.data.prepare import prepare_dataset
from atlas.documents.manifests import DatasetManifest
from atlas.documents.stored import get_document
from atlas.spec.dataset import DatasetSpec, ShardRule

KEY = DatasetKey(b"\x01" * 32)


def sealer(key):
    return lambda rows, name, target: seal_file(rows, name, key, target)


@pytest.fixture
def prepare(store, write_rows, tmp_path):
    rows = [
        {"text": f"patient {number} complains", "label": "yes" if number % 3 else "no", "place": "abbccc"[number % 6]}
        for number in range(60)
    ]
    source = write_rows(rows)

    def run(seal):
        spec = DatasetSpec(source=source, labels=["no", "yes"], shard_by=ShardRule(column="place"))
        return prepare_dataset(spec, store, tmp_path / "cache", 17, reference_rows=5, seal=seal)

    return run


def pieces(manifest):
    return [*manifest.shards, manifest.holdout, manifest.reference]


def test_the_manifest_tells_sizes_and_no_content(prepare, store, tmp_path):
    plain, sealed = prepare(None), prepare(sealer(KEY))
    for before, after in zip(pieces(plain), pieces(sealed), strict=True):
        hidden = {"cid": after.cid, "form": "sealed", "value": None, "labels": {}}
        assert after == before.model_copy(update=hidden) != before
        path = store.fetch(after.cid)
        open_sealed(path, file_key(KEY, read_header(path)), tmp_path / "opened")
        assert (tmp_path / "opened").read_bytes() == store.read(before.cid)
    assert get_document(store, sealed.cid, DatasetManifest) == sealed
    assert list((tmp_path / "cache").iterdir()) == [], "nothing readable is left behind"


def test_no_row_is_in_the_store(prepare, store):
    prepare(sealer(KEY))
    found = [path.read_bytes() for path in store.root.glob("??/b*")]
    assert len(found) == 6
    assert not any(b"complains" in data or b"patient" in data for data in found)


def test_a_restart_gives_the_same_dataset_and_another_key_another(prepare):
    first = prepare(sealer(KEY))
    assert prepare(sealer(KEY)) == first
    other = prepare(sealer(DatasetKey(b"\x02" * 32)))
    assert {piece.cid for piece in pieces(first)}.isdisjoint(piece.cid for piece in pieces(other))
    assert json.loads(other.canonical_bytes()).keys() == json.loads(first.canonical_bytes()).keys()
