import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cosmpy.aerial.wallet import LocalWallet

from atlas.signing import verify_signature
from chain_bridge.client.keys import Key, load_or_create_key
from chain_bridge.errors import KeyFileError

WORDS = "abandon " * 23 + "art"


def _address(path):
    return load_or_create_key(path, "atlas").address


def test_a_new_key_is_private_and_stays_the_same(tmp_path):
    path = tmp_path / "new" / "keys" / "operator.key"
    first, second = load_or_create_key(path, "atlas"), load_or_create_key(path, "atlas")
    assert first.address == second.address
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [item.name for item in path.parent.iterdir()] == ["operator.key"]
    assert len(path.read_text().split()) == 24


def test_two_new_keys_differ(tmp_path):
    assert _address(tmp_path / "a") != _address(tmp_path / "b")


def test_whoever_races_gets_the_same_key(tmp_path):
    start = threading.Barrier(8)

    def race(number):
        start.wait()
        return _address(tmp_path / "race" / "node.key")

    with ThreadPoolExecutor(8) as pool:
        addresses = list(pool.map(race, range(16)))
    assert len(set(addresses)) == 1
    assert [item.name for item in (tmp_path / "race").iterdir()] == ["node.key"]


def test_the_key_is_the_one_that_other_wallets_derive(tmp_path):
    path = tmp_path / "known.key"
    path.touch(mode=0o600)
    path.write_text(WORDS)
    key = load_or_create_key(path, "cosmos")
    # The address of this test vector in Keplr, gaiad and cosmpy.
    assert key.address == "cosmos1r5v5srda7xfth3hn2s26txvrcrntldjumt8mhl"
    assert key.address == str(LocalWallet.from_mnemonic(WORDS, prefix="cosmos").address())


def test_a_signature_verifies_for_its_address():
    key = Key(WORDS, "atlas")
    verify_signature(b"message", key.sign(b"message"), key.public_key, key.address)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_may_touch_is_refused(tmp_path, mode):
    path = tmp_path / "node.key"
    load_or_create_key(path, "atlas")
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=f"chmod 600 {path}"):
        load_or_create_key(path, "atlas")


def test_a_folder_that_others_may_write_is_refused(tmp_path):
    path = tmp_path / "keys" / "node.key"
    load_or_create_key(path, "atlas")
    path.parent.chmod(0o770)
    with pytest.raises(KeyFileError, match=f"chmod 700 {path.parent}"):
        load_or_create_key(path, "atlas")


@pytest.mark.parametrize(
    "words", ["", "abandon " * 24, "abandon " * 23 + "artt", "abandon " * 11 + "about", "\x00\xff"]
)
def test_damaged_words_are_refused(tmp_path, words):
    path = tmp_path / "node.key"
    path.touch(mode=0o600)
    path.write_text(words)
    with pytest.raises(KeyFileError, match="24 words"):
        load_or_create_key(path, "atlas")


def test_a_key_does_not_show_its_secret():
    assert repr(Key(WORDS, "atlas")) == f"Key({Key(WORDS, 'atlas').address})"
