"""Documents in a store."""

import json
import os

import pytest

from atlas.content.local.store import LocalStore
from atlas.content.store import is_kept
from atlas.documents.manifests import Checkpoint, ModelManifest
from atlas.documents.stored import get_document, put_document
from atlas.errors import ContentError, SpecError

CID = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path)


@pytest.fixture
def manifest():
    return ModelManifest(source="package:minilm", files={"config.json": CID, "b.json": CID})


def test_a_document_goes_by_its_own_cid(store, manifest):
    assert put_document(store, manifest) == manifest.cid
    assert get_document(store, manifest.cid, ModelManifest) == manifest


def test_another_kind_of_document_is_refused(store, manifest):
    with pytest.raises(SpecError, match=f"{manifest.cid}: This is not a valid Checkpoint"):
        get_document(store, put_document(store, manifest), Checkpoint)


@pytest.mark.parametrize("encode", [lambda value: json.dumps(value, indent=1), lambda value: json.dumps(value) + " "])
def test_a_document_with_a_second_name_is_refused(store, manifest, encode):
    cid = store.put(encode(manifest.model_dump()).encode())
    with pytest.raises(ContentError, match=f"{cid} holds a ModelManifest that is not in canonical form"):
        get_document(store, cid, ModelManifest)


def test_what_is_found_to_be_kept_is_not_collected(store):
    cid = store.put(b"an adapter")
    (held,) = store.held()
    path = store.fetch(cid)
    os.utime(path, (1000, 1000))
    assert is_kept(store, cid)
    assert store.remove(cid, unused_since=held.used_at - 1) == 0
    path.chmod(0o600)
    path.write_bytes(b"another")
    assert not is_kept(store, cid)
    path.unlink()
    assert not is_kept(store, cid)
