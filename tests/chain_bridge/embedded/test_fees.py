"""Fees, and what else is settled before any message runs: codes and texts are those of wasmd v0.61.14."""

import subprocess
import sys

import pytest
from cosmpy.protos.cosmos.base.v1beta1.coin_pb2 import Coin

from chain_bridge.embedded.errors import NoSuchAccount, Refused
from chain_bridge.embedded.state.addresses import module_address

GAS = 200_000
FEE = "5000uatl"


@pytest.mark.parametrize("fee", ["4999uatl", "", "5000uxyz", "1uatl"])
def test_too_small_a_fee_is_refused_at_the_door(payer, pay, genesis, fee):
    refused = payer.send(pay(), gas=GAS, fee=fee)
    text = f"insufficient fees; got: {fee} required: 5000uatl: insufficient fee"
    assert (refused.codespace, refused.code, refused.raw_log) == ("sdk", 13, text)
    assert payer.balance(payer.key.address) == genesis
    assert payer.chain.sequence(payer.key.address) == 0


def test_the_fee_is_taken_whether_the_message_succeeds_or_fails(payer, pay, new_key, genesis, events_of):
    sent = payer.send(pay(7), gas=GAS, fee=FEE)
    assert sent.code == 0
    assert events_of(sent, "tx")[0] == {"fee": FEE, "fee_payer": payer.key.address}
    failed = payer.send(pay(genesis), gas=GAS, fee=FEE)
    assert failed.code == 5
    assert [item["amount"] for item in events_of(failed, "coin_spent")] == [FEE], "of the fee alone"
    assert payer.balance(payer.key.address) == genesis - 7 - 10_000
    assert payer.balance(module_address("fee_collector", "atlas")) == 10_000
    assert payer.balance(new_key("stranger").address) == 7


def test_running_out_of_gas_costs_the_fee(payer, pay, genesis):
    payer.send(pay(), gas=GAS, fee=FEE)
    genesis -= 5001
    failed = payer.send(pay(), gas=60_000, fee="1500uatl")
    assert failed.code == 11
    assert failed.raw_log.startswith("out of gas in location: ")
    assert f"gasWanted: 60000, gasUsed: {failed.gas_used}: out of gas" in failed.raw_log
    assert failed.gas_used > 60_000
    assert payer.balance(payer.key.address) == genesis - 1500
    refused = payer.send(pay(), gas=30_000, fee="750uatl")
    assert refused.code == 11, "before the fee could be taken"
    assert payer.balance(payer.key.address) == genesis - 1500
    assert "location: ReadFlat; gasWanted: 0, gasUsed: 1000" in payer.send(pay(), gas=0, fee=FEE).raw_log


def test_a_transaction_fits_into_a_block(payer, pay):
    refused = payer.send(pay(), gas=100_000_001, fee="2500001uatl")
    text = "tx gas limit 100000001 exceeds block max gas 100000000: invalid gas limit"
    assert (refused.codespace, refused.code, refused.raw_log) == ("sdk", 41, text)
    assert payer.send(pay(), gas=100_000_000, fee="2500000uatl").code == 0


def test_memos_are_short(payer, pay):
    refused = payer.send(pay(), gas=GAS, fee=FEE, memo="é" * 129)
    text = "maximum number of characters is 256 but received 258 characters: memo too large"
    assert (refused.codespace, refused.code, refused.raw_log) == ("sdk", 12, text)
    assert payer.send(pay(), gas=GAS, fee=FEE, memo="é" * 128).code == 0


def test_who_never_had_coins_has_no_account(payer, new_payer, pay, sign):
    poor = new_payer("poor")
    address = poor.key.address
    with pytest.raises(NoSuchAccount):
        payer.chain.sequence(address)
    data = sign(poor.key, [pay(sender=address)], 0, gas=GAS, fee=FEE)
    refused = payer.chain.broadcast(data)
    text = f"fee payer address: {address} does not exist: unknown address"
    assert (refused.codespace, refused.code, refused.raw_log) == ("sdk", 9, text)
    with pytest.raises(Refused, match="does not exist: unknown address with gas used"):
        payer.chain.simulate(data)
    payer.send(pay(5000, to=address), gas=GAS, fee=FEE)
    assert payer.chain.sequence(address) == 0
    refused = poor.send(pay(sender=address), gas=GAS, fee="5001uatl")
    text = "spendable balance 5000uatl is smaller than 5001uatl: insufficient funds: insufficient funds"
    assert (refused.code, refused.raw_log) == (5, text)
    assert poor.send(pay(sender=address), gas=GAS, fee=FEE).code == 5, "the fee left nothing to send"
    assert (poor.balance(address), payer.chain.sequence(address)) == (0, 1)


@pytest.mark.parametrize(
    ("coins", "code", "text"),
    [
        ([], 10, ": invalid coins"),
        ([("uatl", "0")], 10, "0uatl: invalid coins"),
        ([("uatl", "1"), ("uatl", "1")], 10, "1uatl,1uatl: invalid coins"),
        ([("uxyz", "1"), ("uatl", "1")], 10, "1uxyz,1uatl: invalid coins"),
        ([("uxyz", "1")], 5, "spendable balance 0uxyz is smaller than 1uxyz: insufficient funds"),
    ],
)
def test_coins_that_cannot_be_sent(payer, pay, coins, code, text):
    message = pay()
    del message.amount[:]
    message.amount.extend(Coin(denom=denom, amount=amount) for denom, amount in coins)
    failed = payer.send(message, gas=GAS, fee=FEE)
    assert (failed.code, failed.raw_log) == (code, f"failed to execute message; message index: 0: {text}")


def test_nobody_sends_to_the_fee_collector(payer, pay):
    collector = module_address("fee_collector", "atlas")
    failed = payer.send(pay(to=collector), gas=GAS, fee=FEE)
    assert failed.raw_log.endswith(f"{collector} is not allowed to receive funds: unauthorized")


@pytest.mark.parametrize("price", ["-1", "nan", "inf", "cheap"])
def test_a_price_is_a_number(chain_home, price):
    command = [sys.executable, "-m", "chain_bridge.embedded", "--home", str(chain_home), f"--gas-price={price}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{price!r} is not a price" in done.stderr
