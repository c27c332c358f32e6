"""A node record is believed when its address signed exactly it, lately, for this network and this IPFS node."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.content.format.cid import cid_of_bytes
from atlas.documents.node_record import (
    CLOCK_SKEW_SECONDS,
    LIFETIME_SECONDS,
    MOST_RECORD_BYTES,
    NodeRecord,
    SignedNodeRecord,
    parse_record,
    rendezvous,
    sign_record,
    verify,
)
from atlas.errors import VerificationError
from atlas.signing import KeySigner

NETWORK = {"chain_id": "chain-1", "contract": "atlas1contract"}
PEER, NOW = "12D3KooWpeer", 1_800_000_000
ALICE, MALLORY = (KeySigner(bytes([number]) * 32, "atlas") for number in (1, 2))
FIELDS = {
    **NETWORK,
    "node_id": 3,
    "address": ALICE.address,
    "peer_id": PEER,
    "addresses": ["/ip4/10.0.0.1/tcp/4001"],
    "version": "0.1.0",
    "cpu": "a processor",
    "cores": 8,
    "memory_bytes": 2**34,
    "gpus": ["NVIDIA H100"],
    "slots": 1,
    "price": 500,
    "reputation": 100,
    "height": 77,
    "made_at": NOW - 60,
}

text = st.text(st.characters(codec="utf-8"), max_size=40)
count = st.integers(0, 2**53 - 1)
records = st.builds(
    NodeRecord,
    chain_id=st.just("chain-1"),
    contract=st.just("atlas1contract"),
    node_id=st.integers(1, 2**53 - 1),
    address=st.just(ALICE.address),
    peer_id=st.just(PEER),
    addresses=st.lists(text, max_size=5),
    version=text,
    cpu=text,
    cores=count,
    memory_bytes=count,
    gpus=st.lists(text, max_size=5),
    slots=count,
    price=count,
    reputation=st.integers(-(2**53) + 1, 2**53 - 1),
    height=count,
    made_at=st.integers(NOW - LIFETIME_SECONDS, NOW + CLOCK_SKEW_SECONDS),
)


def check(signed: SignedNodeRecord, **changes) -> NodeRecord:
    return verify(signed, **{**NETWORK, "peer_id": PEER, "now": NOW, **changes})


def made(**changes) -> NodeRecord:
    return NodeRecord.model_validate({**FIELDS, **changes})


@given(records)
def test_what_is_signed_travels_as_bytes_and_is_believed(record):
    data = sign_record(record, ALICE).canonical_bytes()
    assert check(parse_record(data)) == record


changes = st.one_of(
    *(st.fixed_dictionaries({field: count}) for field in ("price", "height", "cores", "memory_bytes", "slots")),
    st.fixed_dictionaries({"node_id": st.integers(1, 2**53 - 1)}),
    st.fixed_dictionaries({"reputation": st.integers(-100, 1000)}),
    st.fixed_dictionaries({"made_at": st.integers(NOW - 100, NOW)}),
    *(st.fixed_dictionaries({field: text}) for field in ("cpu", "version", "address")),
    *(st.fixed_dictionaries({field: st.lists(text, max_size=3)}) for field in ("addresses", "gpus")),
)


@given(changes)
def test_no_field_can_be_altered(change):
    signed = sign_record(made(), ALICE)
    altered = signed.model_copy(update={"record": made(**change)})
    if altered == signed:
        return
    with pytest.raises(VerificationError):
        check(altered)


@given(st.integers(0, 63), st.integers(1, 255))
def test_no_byte_of_the_signature_can_be_altered(place, mask):
    signed = sign_record(made(), ALICE)
    signature = bytearray.fromhex(signed.signature)
    signature[place] ^= mask
    with pytest.raises(VerificationError):
        check(signed.model_copy(update={"signature": signature.hex()}))


def test_nobody_signs_for_another():
    for forged in (
        sign_record(made(), MALLORY),
        sign_record(made(), MALLORY).model_copy(update={"public_key": ALICE.public_key.hex()}),
    ):
        with pytest.raises(VerificationError, match=ALICE.address):
            check(forged)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"contract": "atlas1other"}, "contract 'atlas1contract', expected 'atlas1other'"),
        ({"chain_id": "chain-2"}, "chain_id"),
        ({"peer_id": "12D3KooWother"}, "peer_id"),
        ({"now": NOW + LIFETIME_SECONDS}, "3660 s old"),
        ({"now": NOW - 61 - CLOCK_SKEW_SECONDS}, "-301 s old"),
        ({"most_age_seconds": 59}, "60 s old, expected at most 59"),
    ],
)
def test_a_true_record_of_elsewhere_or_another_time_is_not_believed(change, reason):
    with pytest.raises(VerificationError, match=reason):
        check(sign_record(made(), ALICE), **change)


@given(st.binary(max_size=200))
def test_any_other_bytes_are_no_record(data):
    with pytest.raises(VerificationError):
        parse_record(data)


def test_what_is_too_large_or_has_more_fields_is_no_record():
    signed = sign_record(made(), ALICE)
    with pytest.raises(VerificationError, match="at most 65536 bytes"):
        parse_record(signed.canonical_bytes() + b" " * MOST_RECORD_BYTES)
    more = {**json.loads(signed.canonical_bytes()), "owner": "me"}
    with pytest.raises(VerificationError, match="owner"):
        parse_record(json.dumps(more).encode())


def test_each_network_has_a_rendezvous_of_its_own():
    places = [("chain-1", "a"), ("chain-1", "b"), ("chain-2", "a")]
    assert len({cid_of_bytes(rendezvous(*place)) for place in places}) == 3
    assert rendezvous("chain-1", "a") == b'{"chain_id":"chain-1","contract":"a","kind":"rendezvous"}'
