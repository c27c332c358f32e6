import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_bridge.embedded.errors import VmError
from chain_bridge.embedded.gas import GasMeter
from chain_bridge.embedded.state.database import Database
from chain_bridge.embedded.state.storage import Storage

# Few distinct bytes, so that keys share prefixes and bounds hit them.
KEYS = st.binary(max_size=4).map(lambda raw: bytes(b"\x00\x01\x7f\x80\xff"[byte % 5] for byte in raw))


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    database = Database(tmp_path_factory.mktemp("storage") / "chain.db")
    yield database
    database.close()


def storage(database, name="contract", **options):
    return Storage(database, name, GasMeter(10**12), **options)


@given(
    entries=st.dictionaries(KEYS, st.binary(max_size=3), max_size=80),
    removed=st.lists(KEYS),
    start=st.none() | KEYS,
    end=st.none() | KEYS,
    descending=st.booleans(),
)
def test_a_scan_is_a_sorted_dictionary(database, entries, removed, start, end, descending):
    with database.transaction(keep=False):
        store = storage(database)
        for key, value in entries.items():
            store.set(key, value)
            storage(database, "another").set(key, b"not mine")
        for key in removed:
            store.remove(key)
        model = {key: value for key, value in entries.items() if key not in removed}
        expected = sorted(
            (
                (key, value)
                for key, value in model.items()
                if (start is None or key >= start) and (end is None or key < end)
            ),
            reverse=descending,
        )
        assert list(store.scan(start, end, descending=descending)) == expected
        assert {key: store.get(key) for key in entries} == {key: model.get(key) for key in entries}


@given(count=st.integers(0, 100), descending=st.booleans())
def test_long_scans_cross_pages_in_order(database, count, descending):
    with database.transaction(keep=False):
        store = storage(database)
        for number in range(count):
            store.set(number.to_bytes(2, "big"), b"value")
        found = [int.from_bytes(key, "big") for key, _ in store.scan(None, None, descending=descending)]
        assert found == sorted(range(count), reverse=descending)


def test_a_scan_survives_writes_behind_it(database):
    with database.transaction(keep=False):
        store = storage(database)
        for number in range(70):
            store.set(bytes([number]), b"value")
        seen = []
        for key, _ in store.scan(None, None):
            store.remove(key)
            seen.append(key[0])
        assert seen == list(range(70))
        assert list(store.scan(None, None)) == []


def test_a_query_cannot_write(database):
    with database.transaction(keep=False):
        for write in (lambda store: store.set(b"key", b"value"), lambda store: store.remove(b"key")):
            with pytest.raises(VmError, match="must not write"):
                write(storage(database, read_only=True))
        assert storage(database).get(b"key") is None
