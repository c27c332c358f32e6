"""Key rings: made once, readable by their owner alone, rotated and revoked without losing a key."""

import json
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from atlas.content.sealed.sealing import DatasetKey, file_key, read_header
from atlas.home import AtlasHome
from atlas.signing import KeySigner
from atlas.spec.dataset import DatasetSpec, ShardRule
from resources.keys.keyring import KeyRingError, KeyRings
from resources.keys.sealed_rows import sealer_for

ALICE, BOB = (KeySigner(bytes([number]) * 32, "atlas").address for number in (1, 2))


@pytest.fixture
def home(tmp_path):
    return AtlasHome(tmp_path)


@pytest.fixture
def rings(home):
    return KeyRings(home, clock=lambda: 1000.0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys" / "data" / "ward.json"


def seal_with(home, tmp_path, text=b"a row\n"):
    seal = sealer_for(DatasetSpec(source="rows.csv", shard_by=ShardRule(rows=1), keyring="ward"), home)
    (tmp_path / "rows").write_bytes(text)
    with (tmp_path / "rows").open("rb") as rows, (tmp_path / "sealed").open("wb") as target:
        seal(rows, "s000", target)
    return tmp_path / "sealed"


def test_a_ring_is_made_on_first_use_and_is_private(rings, path):
    ring = rings.ensure("ward")
    assert rings.ensure("ward") == rings.get("ward") == ring
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    (version,) = ring.versions
    assert (version.created, len(ring.newest.secret), version.id) == (1000.0, 32, ring.newest.id)
    assert rings.ensure("other").newest != ring.newest
    assert rings.names() == ["other", "ward"]


def test_only_a_dataset_that_names_a_ring_is_sealed(home):
    spec = DatasetSpec(source="rows.csv", shard_by=ShardRule(rows=1))
    assert sealer_for(spec, home) is None
    assert KeyRings(home).names() == []


def test_the_newest_key_seals_and_every_key_opens(rings, home, tmp_path):
    old = seal_with(home, tmp_path).rename(tmp_path / "old")
    before = rings.get("ward")
    after = rings.rotate("ward")
    assert [version.id for version in after.versions][:-1] == [before.newest.id] != [after.newest.id]
    new = seal_with(home, tmp_path)
    assert read_header(new).key_id == after.newest.id
    for sealed, ring in ((old, before), (new, after)):
        assert rings.get("ward").file_key(sealed) == file_key(ring.newest, read_header(sealed))
    with pytest.raises(KeyRingError, match=f"has no key {after.newest.id}"):
        before.file_key(new)


def test_revoking_rotates_and_restoring_does_not(rings):
    first = rings.ensure("ward")
    ring = rings.revoke("ward", [BOB, ALICE])
    assert ring.revoked == sorted([ALICE, BOB])
    assert ring.newest != first.newest
    again = rings.restore("ward", ALICE)
    assert (again.revoked, again.versions) == ([BOB], ring.versions)
    assert rings.get("ward") == again
    with pytest.raises(KeyRingError, match=f"{ALICE} is not revoked"):
        rings.restore("ward", ALICE)


@pytest.mark.parametrize("address", ["", "atlas1", ALICE[:-1], ALICE.upper(), ALICE[:-1] + "q", "node-1"])
def test_a_mistyped_address_is_refused_and_changes_nothing(rings, address):
    ring = rings.ensure("ward")
    with pytest.raises(KeyRingError, match="is not an address"):
        rings.revoke("ward", [BOB, address])
    assert rings.get("ward") == ring


@pytest.mark.parametrize("name", ["", "../operator", "a/b", "Ward", "ward.json", "-ward", "a" * 49])
def test_a_name_that_is_none_is_refused(rings, name):
    with pytest.raises(KeyRingError, match="is not a valid name of a key ring"):
        rings.get(name)


def test_a_ring_that_there_is_not_is_told_with_those_that_there_are(rings):
    rings.ensure("ward")
    for ask in (rings.get, rings.rotate, lambda name: rings.revoke(name, [ALICE])):
        with pytest.raises(KeyRingError, match=r"no key ring 'wrad' .* there are: ward"):
            ask("wrad")
    assert rings.names() == ["ward"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_ring_that_others_may_touch_is_refused(rings, path, mode):
    rings.ensure("ward")
    path.chmod(mode)
    with pytest.raises(KeyRingError, match=f"chmod 600 {path}"):
        rings.get("ward")
    with pytest.raises(KeyRingError, match="mode"):
        rings.ensure("ward")


def test_a_damaged_ring_is_refused_and_its_keys_are_not_told(rings, path):
    ring = rings.ensure("ward")
    secret = ring.newest.secret.hex()
    good = json.loads(path.read_text())
    other = DatasetKey(bytes(32)).id
    damages = [
        "{",
        good | {"versions": []},
        good | {"name": "other"},
        good | {"surplus": secret},
        good | {"versions": [good["versions"][0] | {"id": other}]},
        good | {"versions": [good["versions"][0] | {"key": secret + "0"}]},
    ]
    for damage in damages:
        path.write_text(damage if isinstance(damage, str) else json.dumps(damage))
        with pytest.raises(KeyRingError, match="ward") as caught:
            rings.get("ward")
        assert secret not in str(caught.value)
        assert caught.value.__cause__ is None
    assert secret not in repr(ring)


def test_whoever_races_makes_one_ring_and_loses_no_key(home, rings, path):
    start = threading.Barrier(8)

    def ensure(number):
        start.wait()
        return KeyRings(AtlasHome(home.root)).ensure("ward").newest.id

    def rotate(number):
        start.wait()
        return KeyRings(AtlasHome(home.root)).rotate("ward").newest.id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ensure, range(16)))) == 1
        rotated = list(pool.map(rotate, range(16)))
    assert {version.id for version in rings.get("ward").versions} > set(rotated)
    assert len(rings.get("ward").versions) == 17
    assert sorted(item.name for item in path.parent.iterdir()) == [".lock", "ward.json"]
