"""Signatures: Cosmos addresses, one signature per message, and refusal of everything else."""

import pytest
from cosmpy.aerial.wallet import LocalWallet
from cosmpy.crypto.keypairs import PrivateKey, PublicKey
from hypothesis import given
from hypothesis import strategies as st

from atlas.errors import VerificationError
from atlas.signing import KeySigner, address_of, verify_signature

SECRETS = st.binary(min_size=32, max_size=32).filter(lambda secret: 0 < int.from_bytes(secret, "big") < ORDER)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
SIGNER = KeySigner(b"\x01" * 32, "atlas")
MESSAGE = b"a message"
SIGNATURE = SIGNER.sign(MESSAGE)


def test_a_known_key():
    """The secp256k1 key of thirty-two ones, as other software derives it."""
    assert SIGNER.public_key.hex() == "031b84c5567b126440995d3ed5aaba0565d71e1834604819ff9c17f5e9d5dd078f"
    assert SIGNER.address == "atlas10xcqpzrky6eff2g52qdye53xkk9jxkvrllup2u"


@given(secret=SECRETS, message=st.binary(max_size=300), prefix=st.sampled_from(["atlas", "cosmos", "a1b"]))
def test_it_signs_as_a_cosmos_wallet_does(secret, message, prefix):
    signer, theirs = KeySigner(secret, prefix), PrivateKey(secret)
    assert signer.public_key == theirs.public_key.public_key_bytes
    assert signer.address == str(LocalWallet(theirs, prefix).address()) == address_of(signer.public_key, prefix)
    assert signer.sign(message) == theirs.sign(message) == signer.sign(message)
    assert PublicKey(signer.public_key).verify(message, signer.sign(message))
    verify_signature(message, signer.sign(message), signer.public_key, signer.address)


@given(message=st.binary(max_size=50).filter(lambda message: message != MESSAGE))
def test_another_message_is_refused(message):
    with pytest.raises(VerificationError, match="does not fit the message"):
        verify_signature(message, SIGNATURE, SIGNER.public_key, SIGNER.address)


@given(place=st.integers(0, 63), change=st.integers(1, 255))
def test_an_altered_signature_is_refused(place, change):
    altered = bytearray(SIGNATURE)
    altered[place] ^= change
    with pytest.raises(VerificationError, match=SIGNER.address):
        verify_signature(MESSAGE, bytes(altered), SIGNER.public_key, SIGNER.address)


@given(signature=st.binary(min_size=64, max_size=64) | st.sampled_from([bytes(64), b"\xff" * 64]))
def test_made_up_signatures_are_refused(signature):
    with pytest.raises(VerificationError, match=SIGNER.address):
        verify_signature(MESSAGE, signature, SIGNER.public_key, SIGNER.address)


def test_the_twin_of_a_signature_is_refused():
    """(r, n - s) fits the same message; a second valid form would let a stranger alter signed documents."""
    twin = SIGNATURE[:32] + (ORDER - int.from_bytes(SIGNATURE[32:], "big")).to_bytes(32, "big")
    with pytest.raises(VerificationError, match="does not fit the message"):
        verify_signature(MESSAGE, twin, SIGNER.public_key, SIGNER.address)


@pytest.mark.parametrize("length", [0, 63, 65, 72])
def test_a_signature_of_another_length_is_refused(length):
    with pytest.raises(VerificationError, match=f"found 33 and {length}"):
        verify_signature(MESSAGE, (SIGNATURE + bytes(8))[:length], SIGNER.public_key, SIGNER.address)


@pytest.mark.parametrize("length", [0, 32, 65])
def test_a_key_of_another_length_is_refused(length):
    with pytest.raises(VerificationError, match=f"found {length} and 64"):
        verify_signature(MESSAGE, SIGNATURE, (SIGNER.public_key * 2)[:length], SIGNER.address)


@pytest.mark.parametrize("key", [bytes(33), b"\x02" + b"\xff" * 32, b"\x05" + SIGNER.public_key[1:]])
def test_bytes_that_are_no_key_are_refused_even_with_their_own_address(key):
    with pytest.raises(VerificationError, match="is malformed"):
        verify_signature(MESSAGE, SIGNATURE, key, address_of(key, "atlas"))


def test_a_key_of_somebody_else_is_refused():
    other = KeySigner(b"\x02" * 32, "atlas")
    with pytest.raises(VerificationError, match=f"The public key belongs to {other.address}, not to {SIGNER.address}"):
        verify_signature(MESSAGE, other.sign(MESSAGE), other.public_key, SIGNER.address)


@pytest.mark.parametrize(
    "address", ["", "1", "atlas", "atlas1", SIGNER.address.upper(), SIGNER.address[:-1], SIGNER.address + "q", "é1x"]
)
def test_malformed_addresses_are_refused(address):
    with pytest.raises(VerificationError, match="The public key belongs to"):
        verify_signature(MESSAGE, SIGNATURE, SIGNER.public_key, address)
