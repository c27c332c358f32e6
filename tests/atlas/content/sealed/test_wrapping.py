"""Wrapped keys: they open for the one who asked, for the work that was asked for, and not otherwise."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.content.sealed.wrapping import KeyContext, WrappedKey, unwrap_key, wrap_key
from atlas.errors import SealError, VerificationError
from atlas.signing import KeySigner
from chain_bridge.client.keys import Key

ALICE, BOB = KeySigner(b"\x01" * 32, "atlas"), KeySigner(b"\x02" * 32, "atlas")
CONTEXT = KeyContext("atlas1contract", 1, 2, 3, 4, "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
FILE_KEY = bytes(range(32))


@given(key=st.binary(min_size=32, max_size=32), holder=st.sampled_from([ALICE, BOB, Key("abandon " * 23 + "art", "a")]))
@settings(deadline=None)
def test_the_one_who_asked_unwraps(key, holder):
    assert unwrap_key(wrap_key(key, holder.public_key, CONTEXT), holder, CONTEXT) == key


def test_both_sides_agree_and_others_do_not():
    assert ALICE.agree(BOB.public_key) == BOB.agree(ALICE.public_key)
    assert ALICE.agree(BOB.public_key) != ALICE.agree(ALICE.public_key)
    # SHA-256 of the compressed product point, as libsecp256k1's `ecdh` defines it; computed independently.
    assert ALICE.agree(BOB.public_key).hex() == "b7c99dee100e6844572a8d9ee91975af09e602491d4ba32f6781261cd9c99173"


def test_the_same_key_is_never_wrapped_alike():
    first, second = (wrap_key(FILE_KEY, ALICE.public_key, CONTEXT) for _ in range(2))
    assert first.ephemeral != second.ephemeral
    assert first.box != second.box
    assert len(first.box) == 48


def test_it_opens_for_nobody_else():
    with pytest.raises(SealError, match=BOB.address):
        unwrap_key(wrap_key(FILE_KEY, ALICE.public_key, CONTEXT), BOB, CONTEXT)


@pytest.mark.parametrize(
    "change",
    [{"contract": "atlas1other"}, {"job_id": 9}, {"round": 9}, {"slot": 9}, {"attempt": 9}, {"data": "bafyother"}],
    ids=lambda change: next(iter(change)),
)
def test_it_opens_for_no_other_work(change):
    wrapped = wrap_key(FILE_KEY, ALICE.public_key, CONTEXT)
    with pytest.raises(SealError, match="for another task"):
        unwrap_key(wrapped, ALICE, replace(CONTEXT, **change))


@given(place=st.integers(0, 80), bit=st.integers(0, 7))
@settings(deadline=None)
def test_any_flipped_bit_is_refused(place, bit):
    wrapped = wrap_key(FILE_KEY, ALICE.public_key, CONTEXT)
    data = bytearray(wrapped.ephemeral + wrapped.box)
    data[place] ^= 1 << bit
    with pytest.raises(SealError):
        unwrap_key(WrappedKey(bytes(data[:33]), bytes(data[33:])), ALICE, CONTEXT)


@given(ephemeral=st.binary(max_size=70), box=st.binary(max_size=70))
@settings(deadline=None)
def test_made_up_keys_are_refused(ephemeral, box):
    with pytest.raises(SealError):
        unwrap_key(WrappedKey(ephemeral, box), ALICE, CONTEXT)


@pytest.mark.parametrize("recipient", [b"", bytes(33), b"\x02" + b"\xff" * 32])
def test_what_is_no_public_key_gets_none(recipient):
    with pytest.raises(VerificationError, match="is no public key"):
        wrap_key(FILE_KEY, recipient, CONTEXT)
