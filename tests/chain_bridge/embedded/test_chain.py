import gzip

import pytest
from cosmpy.protos.cosmos.bank.v1beta1.tx_pb2 import MsgMultiSend, MsgSend
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import GetTxResponse
from cosmpy.protos.cosmos.tx.v1beta1.tx_pb2 import TxRaw
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgInstantiateContract

from chain_bridge.embedded.chain import Chain, Settings
from chain_bridge.embedded.errors import Refused
from chain_bridge.embedded.state.addresses import module_address
from chain_bridge.errors import ChainError, WrongChain


@pytest.fixture
def stranger(new_key):
    return new_key("stranger")


def test_a_transaction_lands_once(chain, driver, sign, pay, operator_key, stranger):
    data = sign(operator_key, [pay(5)], 0)
    taken = chain.broadcast(data)
    assert taken.code == 0
    assert driver.balance(stranger.address) == 5
    again = chain.broadcast(data)
    assert (again.codespace, again.code, again.txhash) == ("sdk", 19, taken.txhash)
    assert driver.balance(stranger.address) == 5
    assert chain.find(taken.txhash.lower()) == chain.find(taken.txhash)
    assert chain.find("00") is None


@pytest.mark.parametrize("used", [0, 1, 3, 9])
def test_the_sequence_must_be_the_next(chain, driver, sign, pay, operator_key, used):
    driver.send(pay())
    driver.send(pay())
    refused = chain.broadcast(sign(operator_key, [pay()], used))
    assert (refused.code, refused.raw_log) == (
        32,
        f"account sequence mismatch, expected 2, got {used}: incorrect account sequence",
    )
    with pytest.raises(Refused, match="account sequence mismatch"):
        chain.simulate(sign(operator_key, [pay()], used))


@pytest.mark.parametrize("wrong", [{"chain_id": "other-chain"}, {"number": 7}])
def test_a_signature_is_for_one_chain_and_account(chain, sign, pay, operator_key, wrong):
    refused = chain.broadcast(sign(operator_key, [pay()], 0, **wrong))
    assert refused.code == 4
    assert "signature verification failed" in refused.raw_log
    assert "chain-id (atlas-test)" in refused.raw_log
    assert chain.sequence(operator_key.address) == 0


@pytest.mark.parametrize("signature", [b"", bytes(64), b"\xff" * 64, b"short"])
def test_a_broken_signature_is_refused(chain, sign, pay, operator_key, signature):
    raw = TxRaw.FromString(sign(operator_key, [pay()], 0))
    raw.signatures[0] = signature
    assert chain.broadcast(raw.SerializeToString()).code == 4


def test_altered_messages_are_refused(chain, driver, sign, pay, operator_key, stranger):
    raw = TxRaw.FromString(sign(operator_key, [pay(1)], 0))
    raw.body_bytes = raw.body_bytes.replace(b"\x12\x011", b"\x12\x019")
    assert chain.broadcast(raw.SerializeToString()).code == 4
    assert driver.balance(stranger.address) == 0


def test_nobody_signs_for_another(chain, sign, pay, stranger):
    refused = chain.broadcast(sign(stranger, [pay()], 0))
    assert refused.code == 8
    assert "pubKey does not match signer address" in refused.raw_log


def test_messages_of_two_senders_need_two_signatures(chain, sign, pay, operator_key, stranger):
    foreign = MsgSend(from_address=stranger.address, to_address=operator_key.address)
    refused = chain.broadcast(sign(operator_key, [pay(), foreign], 0))
    assert "wrong number of signers; expected 2, got 1: unauthorized" in refused.raw_log


@pytest.mark.parametrize("data", [b"", b"\xff\xff", b"nonsense"])
def test_bytes_that_are_no_transaction_are_refused(chain, data):
    assert chain.broadcast(data).code in (2, 18)


def test_unknown_messages_are_refused(chain, sign, operator_key):
    refused = chain.broadcast(sign(operator_key, [MsgMultiSend()], 0))
    assert refused.code == 2
    assert "unable to resolve type URL /cosmos.bank.v1beta1.MsgMultiSend" in refused.raw_log


def test_all_messages_of_a_transaction_or_none(driver, pay, stranger, genesis):
    sent = driver.send(pay(1), pay(2), pay(genesis))
    assert sent.code == 5
    assert sent.raw_log.startswith("failed to execute message; message index: 2: spendable balance")
    assert {item.type for item in sent.events} == {"tx"}, "the fee's events alone"
    assert driver.balance(stranger.address) == 0
    assert driver.send(pay(1), pay(2)).code == 0
    assert driver.balance(stranger.address) == 3


def test_fees_are_paid_even_for_what_fails(driver, pay, operator_key, genesis):
    assert driver.send(pay(genesis), fee="100uatl").code == 5
    assert driver.balance(operator_key.address) == genesis - 100
    assert driver.balance(module_address("fee_collector", "atlas")) == 100


def test_a_fee_that_cannot_be_paid_is_refused_at_the_door(chain, sign, stranger, operator_key):
    message = MsgSend(from_address=stranger.address, to_address=operator_key.address)
    refused = chain.broadcast(sign(stranger, [message], 0, fee="1uatl"))
    assert refused.code == 5
    assert chain.sequence(stranger.address) == 0


def test_an_account_without_coins_may_send_when_gas_is_free(new_driver, puppet):
    poor = new_driver("poor")
    assert poor.execute(puppet).code == 0
    assert poor.execute(puppet).code == 0
    assert poor.chain.sequence(poor.key.address) == 2


def test_gas_has_a_limit(driver, pay, stranger):
    assert driver.send(pay(), gas=10).code == 11
    driver.send(pay())
    used = driver.send(pay()).gas_used
    sent = driver.send(pay(), gas=used - 100)
    assert sent.code == 11
    assert f"gasWanted: {used - 100}" in sent.raw_log


def test_a_simulation_changes_nothing_and_needs_no_signature(chain, driver, sign, pay, operator_key, stranger):
    raw = TxRaw.FromString(sign(operator_key, [pay()], 0, gas=0))
    raw.signatures[0] = b""
    simulated = chain.simulate(raw.SerializeToString()).gas_used
    assert driver.balance(stranger.address) == 0
    assert chain.latest_block().height == 0
    # A simulation lacks the signature's bytes and does not count the block's transactions.
    assert 0 < driver.send(pay()).gas_used - simulated < 5000
    with pytest.raises(Refused, match=r"insufficient funds with gas used: '\d+'"):
        chain.simulate(sign(operator_key, [pay(10**15)], 1))


def test_a_timeout_height_holds(chain, driver, sign, pay, operator_key):
    driver.send(pay())
    assert driver.send(pay(), timeout=2).code == 0
    refused = chain.broadcast(sign(operator_key, [pay()], 2, timeout=2))
    assert (refused.code, chain.latest_block().height) == (30, 2)


def test_blocks_count_and_their_time_never_goes_back(chain, driver, pay, clock):
    times = []
    for step in (0, 5, -100, 0):
        clock.advance(step)
        record = driver.send(pay())
        times.append((chain.latest_block().time_ns, record.height))
    assert times == sorted(set(times))
    assert [height for _, height in times] == [1, 2, 3, 4]
    clock.advance(1000)
    assert chain.latest_block().time_ns == int(clock() * 10**9)


def test_coins_are_granted_once(chain, driver, stranger):
    assert chain.fund(stranger.address, 7)
    assert not chain.fund(stranger.address, 7)
    assert driver.balance(stranger.address) == 7


def test_the_state_is_there_after_a_restart(chain_home, clock, chain, driver, pay, puppet, stranger, operator_key):
    hash_of_last = driver.send(pay(3)).txhash
    height = chain.latest_block().height
    chain.close()
    again = Chain(chain_home, Settings("atlas-test"), clock)
    assert again.latest_block().height == height
    assert GetTxResponse.FromString(again.find(hash_of_last)).tx_response.height == height
    assert again.query(puppet, b'{"ok": "aGVsbG8="}') == b"hello"
    assert not again.fund(operator_key.address, 1)
    with again.reading() as parts:
        assert parts.bank.balance(stranger.address, "uatl") == 3
    again.close()


def test_one_process_holds_a_chain(chain, chain_home, clock):
    with pytest.raises(ChainError, match=f"Another process runs the chain in {chain_home}"):
        Chain(chain_home, Settings("atlas-test"), clock)


@pytest.mark.parametrize(
    "settings", [Settings("other"), Settings("atlas-test", prefix="osmo"), Settings("atlas-test", denom="uosmo")]
)
def test_a_folder_keeps_its_chain(chain, chain_home, clock, settings):
    chain.close()
    with pytest.raises(WrongChain, match="Use another folder"):
        Chain(chain_home, settings, clock)
    Chain(chain_home, Settings("atlas-test"), clock).close()


@pytest.mark.parametrize(
    ("wasm", "reason"),
    [
        (b"no wasm", "the bytecode is not valid"),
        (b"\x1f\x8bdamaged", "the compressed bytecode is damaged"),
        (gzip.compress(bytes(10**8)), "more than 819200 bytes"),
        (bytes(819_201), "more than 819200 bytes"),
    ],
)
def test_code_that_cannot_run_is_refused(driver, wasm, reason):
    sent = driver.store(wasm)
    assert (sent.codespace, sent.code) == ("wasm", 2)
    assert reason in sent.raw_log


def test_code_may_come_compressed(driver, puppet_wasm, events_of):
    first, second = driver.store(puppet_wasm), driver.store(gzip.compress(puppet_wasm))
    checksums = [events_of(sent, "store_code")[0] for sent in (first, second)]
    assert [item["code_id"] for item in checksums] == ["1", "2"]
    assert checksums[0]["code_checksum"] == checksums[1]["code_checksum"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"code_id": 9}, "no such code"),
        ({"label": ""}, "label: is required: empty"),
        ({"admin": "nobody"}, "admin: decoding bech32 failed"),
        ({"msg": b'{"error": "no"}'}, "no: instantiate wasm contract failed"),
    ],
)
def test_contracts_that_cannot_be_made(driver, puppet, good, changes, reason):
    order = {"sender": driver.key.address, "code_id": 1, "label": "x", "msg": good()} | changes
    sent = driver.send(MsgInstantiateContract(**order))
    assert reason in sent.raw_log
    with driver.chain.reading() as parts:
        assert parts.registry.create_contract(1, "a", "", "next", 1).address != puppet
