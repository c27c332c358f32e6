"""Contracts under test are puppets: they do and answer what their message says."""

import base64
import json
import re

import pytest
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgMigrateContract

from chain_bridge.embedded.errors import ContractFailed, NoSuchContract, VmFailed
from chain_bridge.embedded.state.addresses import contract_address

NOWHERE = contract_address(9, 9, "atlas")


def packed(message):
    raw = message if isinstance(message, bytes) else json.dumps(message).encode()
    return base64.b64encode(raw).decode()


def sub(message, reply_on="never", **more):
    return {"id": 7, "msg": message, "gas_limit": None, "reply_on": reply_on, "payload": "", **more}


def send(recipient, amount):
    return {"bank": {"send": {"to_address": recipient, "amount": [{"denom": "uatl", "amount": str(amount)}]}}}


def call(contract, message, funds=()):
    return {"wasm": {"execute": {"contract_addr": contract, "msg": packed(message), "funds": list(funds)}}}


def reply_to(driver, contract):
    return json.loads(driver.state(contract, b"reply"))


def test_attributes_events_and_data_reach_the_transaction(driver, puppet, events_of):
    sent = driver.execute(
        puppet,
        {
            "attributes": [{"key": "action", "value": "wave"}],
            "events": [{"type": "own", "attributes": [{"key": "a", "value": "b"}]}],
            "data": packed(b"result"),
        },
    )
    assert events_of(sent, "wasm") == [{"_contract_address": puppet, "action": "wave", "msg_index": "0"}]
    assert events_of(sent, "wasm-own") == [{"_contract_address": puppet, "a": "b", "msg_index": "0"}]
    assert b"result" in bytes.fromhex(sent.data)


def test_funds_move_with_the_call_and_back_by_message(driver, puppet, new_key):
    stranger = new_key("stranger").address
    sent = driver.execute(puppet, {"messages": [sub(send(stranger, 400))]}, funds=30)
    assert sent.code == 0
    assert (driver.balance(puppet), driver.balance(stranger)) == (630, 400)


def test_a_failing_message_undoes_the_whole_call(driver, puppet, new_key):
    stranger = new_key("stranger").address
    before = driver.balance(driver.key.address)
    sent = driver.execute(puppet, {"messages": [sub(send(stranger, 1)), sub(send(stranger, 5000))]}, funds=30)
    assert sent.code == 5
    assert "spendable balance 1029uatl is smaller than 5000uatl: insufficient funds" in sent.raw_log
    assert (driver.balance(puppet), driver.balance(stranger)) == (1000, 0)
    assert driver.balance(driver.key.address) == before


@pytest.mark.parametrize("reply_on", ["always", "error"])
def test_a_failure_that_the_contract_hears_of_undoes_its_message_alone(driver, puppet, new_key, reply_on):
    stranger = new_key("stranger").address
    messages = [sub(send(stranger, 1)), sub(send(stranger, 5000), reply_on, payload=packed(b"note"))]
    sent = driver.execute(puppet, {"messages": messages})
    assert sent.code == 0
    assert driver.balance(stranger) == 1
    reply = reply_to(driver, puppet)
    assert (reply["id"], reply["payload"]) == (7, packed(b"note"))
    assert reply["result"]["error"] == "codespace: sdk, code: 5"
    assert b"replied" in bytes.fromhex(sent.data)


@pytest.mark.parametrize(("reply_on", "heard"), [("always", True), ("success", True), ("error", False)])
def test_a_success_is_heard_of_when_wanted(driver, puppet, new_key, reply_on, heard):
    sent = driver.execute(puppet, {"messages": [sub(send(new_key("stranger").address, 1), reply_on)]})
    assert sent.code == 0
    assert (driver.state(puppet, b"reply") is not None) is heard
    assert (b"replied" in bytes.fromhex(sent.data)) is heard


def test_a_contract_calls_another_and_hears_what_it_answered(driver, puppet, good, events_of):
    other = driver.instantiate()
    answer = good({"attributes": [{"key": "z", "value": "1"}, {"key": "a", "value": "2"}], "data": packed(b"deep")})
    funds = [{"denom": "uatl", "amount": "10"}]
    sent = driver.execute(puppet, {"messages": [sub(call(other, answer, funds), "success")]})
    assert sent.code == 0
    assert (driver.balance(puppet), driver.balance(other)) == (990, 10)
    ok = reply_to(driver, puppet)["result"]["ok"]
    wasm = next(event for event in ok["events"] if event["type"] == "wasm")
    assert [item["key"] for item in wasm["attributes"]] == ["_contract_address", "a", "z"]
    assert base64.b64decode(ok["data"]) == b"\n\x04deep"
    assert ok["msg_responses"][0]["type_url"] == "/cosmwasm.wasm.v1.MsgExecuteContractResponse"
    assert events_of(sent, "reply") == [{"_contract_address": puppet, "msg_index": "0"}]


def test_what_a_failed_call_wrote_is_gone(driver, puppet, good):
    other = driver.instantiate()
    inner = good({"messages": [sub(call(other, b'\n"kept?"')), sub(call(other, b' "no"'))]})
    sent = driver.execute(puppet, {"messages": [sub(call(other, b'\n"first"')), sub(call(other, inner), "error")]})
    assert sent.code == 0
    assert driver.state(other, b"contract_info") == b'"first"'
    assert "codespace: wasm, code: 29" in reply_to(driver, puppet)["result"]["error"]


def test_a_contract_makes_another(driver, puppet, good, chain):
    body = {"code_id": 1, "msg": packed(good()), "funds": [], "label": "child", "admin": puppet}
    sent = driver.execute(puppet, {"messages": [sub({"wasm": {"instantiate": body}}, "success")]})
    assert sent.code == 0
    data = base64.b64decode(reply_to(driver, puppet)["result"]["ok"]["data"])
    child = data[2 : 2 + data[1]].decode()
    with chain.reading() as parts:
        contract = parts.registry.contract(child)
    assert (contract.creator, contract.admin, contract.label) == (puppet, puppet, "child")


def test_a_contract_burns(driver, puppet):
    burn = {"bank": {"burn": {"amount": [{"denom": "uatl", "amount": "250"}]}}}
    assert driver.execute(puppet, {"messages": [sub(burn)]}).code == 0
    assert driver.balance(puppet) == 750


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"staking": {"delegate": {}}}, "cannot execute the message at staking"),
        ({"wasm": {"clear_admin": {}}}, r"cannot execute the message at wasm\.clear_admin"),
        ({"bank": {"send": {"to_address": "x"}}}, r"cannot execute the message at bank\.send\.amount"),
        ({"bank": {}}, "empty message"),
        (send("atlas1nonsense", 1), "invalid address"),
    ],
)
def test_messages_beyond_the_chain_are_refused(driver, puppet, message, reason):
    sent = driver.execute(puppet, {"messages": [sub(message)]})
    assert sent.code != 0
    assert re.search(reason, sent.raw_log)


def test_a_gas_limit_of_a_submessage_is_refused(driver, puppet):
    sent = driver.execute(puppet, {"messages": [sub(send(puppet, 1), gas_limit=5)]})
    assert "does not support gas limits" in sent.raw_log


def test_endless_calls_between_contracts_end(driver, puppet, good):
    message = good()
    for _ in range(12):
        message = good({"messages": [sub(call(puppet, message))]})
    sent = driver.execute(puppet, message)
    assert "max call depth exceeded" in sent.raw_log


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        (b' "because"', 29, 'RuntimeError: Aborted: "because": wasmvm error'),
        (b"2", 29, "call stack exhausted: wasmvm error"),
        (b"3", 29, "unreachable"),
        (b'"nonsense"', 29, "answer is malformed"),
        (b'{"ok": 5}', 29, "answer is malformed"),
        (b"{}", 29, "neither ok nor error"),
        (b'{"error": "own words"}', 5, "message index: 0: own words: execute wasm contract failed"),
        (b"1", 11, "out of gas in location: Wasm engine function execution"),
    ],
)
def test_calls_that_go_wrong_change_nothing_but_the_sequence(driver, puppet, message, code, reason):
    before, sequence = driver.balance(puppet), driver.chain.sequence(driver.key.address)
    sent = driver.execute(puppet, message, funds=5)
    assert (sent.code, driver.balance(puppet)) == (code, before)
    assert reason in sent.raw_log
    assert driver.chain.sequence(driver.key.address) == sequence + 1


def test_queries_answer_and_cannot_write(chain, puppet):
    assert chain.query(puppet, b'{"ok": "aGVsbG8="}') == b"hello"
    with pytest.raises(ContractFailed, match="no words: query wasm contract failed"):
        chain.query(puppet, b'{"error": "no words"}')
    with pytest.raises(VmFailed, match="a query must not write"):
        chain.query(puppet, b'\n"sneaky"')
    with pytest.raises(NoSuchContract, match="no such contract"):
        chain.query(NOWHERE, b"{}")


def asked(driver, puppet, question):
    """What the chain answers when a contract asks."""
    assert driver.execute(puppet, b"\t" + json.dumps(question).encode()).code == 0
    return json.loads(driver.state(puppet, b"answer"))


def test_contracts_ask_the_chain(driver, puppet):
    def good_answer(question):
        return json.loads(base64.b64decode(asked(driver, puppet, question)["ok"]["ok"]))

    balance = {"bank": {"balance": {"address": puppet, "denom": "uatl"}}}
    assert good_answer(balance) == {"amount": {"denom": "uatl", "amount": "1000"}}
    every = {"bank": {"all_balances": {"address": puppet}}}
    assert good_answer(every) == {"amount": [{"denom": "uatl", "amount": "1000"}]}
    info = good_answer({"wasm": {"contract_info": {"contract_addr": puppet}}})
    assert (info["code_id"], info["creator"], info["admin"]) == (1, driver.key.address, None)


def test_contracts_ask_contracts(driver, puppet):
    other = driver.instantiate()
    driver.execute(other, b'\n"secret"')

    def smart(message, contract=other):
        return asked(driver, puppet, {"wasm": {"smart": {"contract_addr": contract, "msg": packed(message)}}})

    assert smart({"ok": packed(b"hello")}) == {"ok": {"ok": packed(b"hello")}}
    assert smart({"error": "own words"}) == {"ok": {"error": "own words"}}
    assert smart({}, NOWHERE) == {"error": {"no_such_contract": {"addr": NOWHERE}}}
    raw = {"wasm": {"raw": {"contract_addr": other, "key": packed(b"contract_info")}}}
    assert asked(driver, puppet, raw) == {"ok": {"ok": packed(b'"secret"')}}
    assert "unsupported_request" in asked(driver, puppet, {"staking": {"bonded_denom": {}}})["error"]


def test_only_the_admin_migrates(driver, new_driver, puppet_wasm, good, puppet):
    driver.store(puppet_wasm)
    owned = driver.instantiate(admin=driver.key.address)
    other = new_driver("other")

    def migrate(who, contract, code_id=2):
        return who.send(
            MsgMigrateContract(sender=who.key.address, contract=contract, code_id=code_id, msg=b'\n"migrated"')
        )

    assert "can not migrate: unauthorized" in migrate(other, owned).raw_log
    assert "can not migrate: unauthorized" in migrate(driver, puppet).raw_log
    assert "unknown code: invalid request" in migrate(driver, owned, code_id=3).raw_log
    assert migrate(driver, owned).code == 0
    assert driver.state(owned, b"contract_info") == b'"migrated"'
    with driver.chain.reading() as parts:
        assert parts.registry.contract(owned).code_id == 2
