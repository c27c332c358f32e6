"""The host functions over the memory of a real instance."""

import hashlib

import coincurve
import pytest
import wasmtime
from coincurve.ecdsa import der_to_cdata, serialize_compact
from nacl.signing import SigningKey

from atlas.signing import KeySigner
from chain_bridge.embedded.errors import VmError
from chain_bridge.embedded.gas import GasMeter
from chain_bridge.embedded.state.addresses import decode
from chain_bridge.embedded.state.database import Database
from chain_bridge.embedded.state.storage import Storage
from chain_bridge.embedded.vm.engine import make_engine
from chain_bridge.embedded.vm.imports import IMPORTS
from chain_bridge.embedded.vm.instance import Instance, Surroundings

ADDRESS = KeySigner(b"\1" * 32, "atlas").address


@pytest.fixture
def instance(tmp_path, puppet_wasm):
    engine = make_engine()
    linker = wasmtime.Linker(engine)
    module = wasmtime.Module(engine, puppet_wasm)
    linker.define_unknown_imports_as_traps(module)
    database = Database(tmp_path / "chain.db")
    gas = GasMeter(10**9)
    around = Surroundings(Storage(database, "contract", gas), "atlas", gas, lambda request: b"asked " + request)
    instance = Instance(engine, linker.instantiate_pre(module), around)
    yield instance
    instance.close()
    database.close()


@pytest.fixture
def call(instance):
    """Call a host function; bytes become regions."""

    def run(name, *arguments):
        given = [instance.give(item) if isinstance(item, bytes) else item for item in arguments]
        assert len(given) == IMPORTS[name].parameters
        return IMPORTS[name].function(instance, *given)

    return run


@pytest.fixture
def text(instance):
    """The bytes of a region that a host function answered with."""
    return lambda pointer: instance.read(pointer, 10**6)


def sections(*parts):
    return b"".join(part + len(part).to_bytes(4, "big") for part in parts)


def test_the_store(call, text):
    assert call("db_read", b"key") == 0
    call("db_write", b"key", b"value")
    call("db_write", b"empty", b"")
    assert text(call("db_read", b"key")) == b"value"
    assert text(call("db_read", b"empty")) == b""
    call("db_remove", b"key")
    assert call("db_read", b"key") == 0


def test_iterators_run_side_by_side(call, text):
    for key in (b"a", b"b", b"c"):
        call("db_write", key, key * 2)
    up, down, part = call("db_scan", 0, 0, 1), call("db_scan", 0, 0, 2), call("db_scan", b"b", b"c", 1)
    assert (up, down, part) == (1, 2, 3)
    assert text(call("db_next", up)) == sections(b"a", b"aa")
    assert text(call("db_next", down)) == sections(b"c", b"cc")
    assert text(call("db_next", part)) == sections(b"b", b"bb")
    assert text(call("db_next", part)) == text(call("db_next", part)) == sections(b"", b"")
    assert text(call("db_next", up)) == sections(b"b", b"bb")


@pytest.mark.parametrize(("name", "arguments"), [("db_next", (1,)), ("db_next", (0,)), ("db_scan", (0, 0, 3))])
def test_iterators_that_do_not_exist(call, name, arguments):
    with pytest.raises(VmError, match="iterator"):
        call(name, *arguments)


@pytest.mark.parametrize(("key", "value"), [(bytes(64 * 1024 + 1), b""), (b"k", bytes(128 * 1024 + 1))])
def test_keys_and_values_have_a_greatest_length(call, key, value):
    with pytest.raises(VmError, match="region too big"):
        call("db_write", key, value)
    call("db_write", key[:-1] or b"k", value[:-1])


def test_addresses(call, text, instance):
    raw = decode(ADDRESS, "atlas")
    target = instance.give(bytes(90))
    assert call("addr_validate", ADDRESS.encode()) == 0
    assert call("addr_canonicalize", ADDRESS.encode(), target) == 0
    assert text(target) == raw
    assert call("addr_humanize", raw, target) == 0
    assert text(target) == ADDRESS.encode()
    for wrong, reason in (
        (b"", b"Input is empty"),
        (b" ", b"empty address string is not allowed"),
        (b"nobody", b"decoding bech32 failed: invalid bech32 string length 6"),
        (ADDRESS[:-1].encode() + b"b", b"decoding bech32 failed: invalid character not part of charset: 98"),
        (b"\xff\xfe" * 5, b"decoding bech32 failed: invalid character in string"),
    ):
        assert reason in text(call("addr_validate", wrong))
        assert reason in text(call("addr_canonicalize", wrong, target))
    assert text(call("addr_validate", ADDRESS.upper().encode())) == b"address not normalized"
    assert call("addr_canonicalize", ADDRESS.upper().encode(), target) == 0
    assert text(target) == raw
    assert b"not 3" in text(call("addr_humanize", b"abc", target))


def test_a_target_that_is_too_small(call, instance):
    with pytest.raises(VmError, match="region too small"):
        call("addr_canonicalize", ADDRESS.encode(), instance.give(bytes(19)))


def test_signatures(call, text):
    digest, key = hashlib.sha256(b"message").digest(), coincurve.PrivateKey(b"\7" * 32)
    signature = bytes(serialize_compact(der_to_cdata(key.sign(b"message"))))
    assert call("secp256k1_verify", digest, signature, key.public_key.format()) == 0
    assert call("secp256k1_verify", bytes(32), signature, key.public_key.format()) == 1
    recoverable = key.sign_recoverable(digest, hasher=None)
    pointer = call("secp256k1_recover_pubkey", digest, recoverable[:64], recoverable[64])
    assert text(pointer) == key.public_key.format(compressed=False)
    assert call("secp256k1_recover_pubkey", digest, signature, 9) == 6 << 32
    other = SigningKey(b"\5" * 32)
    signed, public = bytes(other.sign(b"message").signature), bytes(other.verify_key)
    assert call("ed25519_verify", b"message", signed, public) == 0
    assert call("ed25519_verify", b"massage", signed, public) == 1
    batch = (sections(b"message"), sections(signed, signed), sections(public, public))
    assert call("ed25519_batch_verify", *batch) == 0
    assert call("ed25519_batch_verify", sections(b"massage"), *batch[1:]) == 1
    with pytest.raises(VmError, match="cut short"):
        call("ed25519_batch_verify", b"\0\0\0\x09", *batch[1:])


def test_words(call, text):
    assert call("debug", b"a note") is None
    with pytest.raises(VmError, match="Aborted: a reason"):
        call("abort", b"a reason")
    assert text(call("query_chain", b"a question")) == b"asked a question"


@pytest.mark.parametrize("pointer", [0xFFFFFFF0, 16 * 65536 - 4, 0, -16])
def test_pointers_into_nowhere(call, pointer):
    with pytest.raises(VmError, match="region"):
        call("db_read", pointer)
