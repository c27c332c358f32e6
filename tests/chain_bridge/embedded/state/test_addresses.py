import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.signing import KeySigner
from chain_bridge.embedded.errors import InvalidAddress
from chain_bridge.embedded.state.addresses import (
    contract_address,
    decode,
    encode,
    module_address,
    read_account,
    read_contract,
)

RAW = st.binary(min_size=20, max_size=20) | st.binary(min_size=32, max_size=32)


@given(RAW, st.sampled_from(["atlas", "wasm", "osmo"]))
def test_an_address_gives_its_bytes_back(raw, prefix):
    assert decode(encode(raw, prefix), prefix) == raw


@given(RAW, st.data())
def test_one_changed_letter_is_noticed(raw, data):
    address = encode(raw, "atlas")
    position = data.draw(st.integers(6, len(address) - 1))
    letter = data.draw(st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l").filter(lambda new: new != address[position]))
    with pytest.raises(InvalidAddress):
        decode(address[:position] + letter + address[position + 1 :], "atlas")


@pytest.mark.parametrize("text", ["", "atlas", "atlas1", "no address", "1" * 91, "ätlas1qqq"])
def test_other_texts_are_refused(text):
    with pytest.raises(InvalidAddress):
        decode(text, "atlas")


def test_a_foreign_prefix_is_refused_in_the_words_of_who_reads_it():
    address = encode(bytes(20), "atlas")
    for read in (decode, read_contract):
        with pytest.raises(InvalidAddress, match=r"^invalid Bech32 prefix; expected wasm, got atlas"):
            read(address, "wasm")
    with pytest.raises(InvalidAddress, match=r"^hrp does not match bech32 prefix: expected 'wasm' got 'atlas'"):
        read_account(address, "wasm")


def test_capitals_spell_the_same_address_and_mixed_case_spells_none():
    address = encode(bytes(20), "atlas")
    assert decode(address.upper(), "atlas") == bytes(20)
    assert read_account(address.upper(), "atlas") == read_contract(address.upper(), "atlas") == address
    with pytest.raises(InvalidAddress, match="not all lowercase or all uppercase"):
        decode(address[:-1] + address[-1].upper(), "atlas")


@pytest.mark.parametrize("length", [0, 19, 21, 31, 33])
def test_other_lengths_are_refused(length):
    with pytest.raises(InvalidAddress, match=f"not {length}"):
        encode(bytes(length), "atlas")


def test_the_first_contract_has_the_address_that_wasmd_gives_it():
    # wasmd x/wasm/keeper, tests/integration/module_test.go: the first contract of the first code
    expected = decode("cosmos14hj2tavq8fpesdwxxcu44rty3hh90vhujrvcmstl4zr3txmfvw9s4hmalr", "cosmos")
    assert decode(contract_address(1, 1, "cosmos"), "cosmos") == expected
    assert contract_address(1, 1, "atlas") != contract_address(1, 2, "atlas") != contract_address(2, 1, "atlas")


def test_the_fee_collector_has_the_address_that_the_sdk_gives_it():
    assert module_address("fee_collector", "cosmos") == "cosmos17xpfvakm2amg962yls6f84z3kell8c5lserqta"


def test_account_addresses_decode():
    assert len(decode(KeySigner(b"\1" * 32, "atlas").address, "atlas")) == 20
