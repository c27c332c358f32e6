"""A chain with the puppet contract, driven without gRPC."""

import json

import pytest
from cosmpy.protos.cosmos.base.v1beta1.coin_pb2 import Coin
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import GetTxResponse
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgExecuteContract, MsgInstantiateContract, MsgStoreCode

GOOD = {"messages": [], "attributes": [], "events": []}


class Driver:
    """Sends one key's messages to a chain and hands back the outcome of each."""

    def __init__(self, chain, key, sign) -> None:
        self.chain, self.key, self._sign = chain, key, sign

    def send(self, *messages, **options):
        data = self._sign(self.key, messages, self.chain.sequence(self.key.address), **options)
        taken = self.chain.broadcast(data)
        if taken.code:
            return taken
        return GetTxResponse.FromString(self.chain.find(taken.txhash)).tx_response

    def store(self, wasm, **options):
        return self.send(MsgStoreCode(sender=self.key.address, wasm_byte_code=wasm), **options)

    def instantiate(self, code_id=1, message=None, label="puppet", admin="", funds=0):
        order = MsgInstantiateContract(
            sender=self.key.address, code_id=code_id, label=label, admin=admin, msg=answer(message), funds=coins(funds)
        )
        sent = self.send(order)
        assert sent.code == 0, sent.raw_log
        return events(sent, "instantiate")[0]["_contract_address"]

    def execute(self, contract, message=None, funds=0, **options):
        raw = message if isinstance(message, bytes) else answer(message)
        order = MsgExecuteContract(sender=self.key.address, contract=contract, msg=raw, funds=coins(funds))
        return self.send(order, **options)

    def state(self, contract, key):
        with self.chain.reading() as parts:
            return parts.registry.read_state(contract, key)

    def balance(self, address):
        with self.chain.reading() as parts:
            return parts.bank.balance(address, "uatl")


def coins(amount):
    return [Coin(denom="uatl", amount=str(amount))] if amount else []


def answer(response=None):
    """A message that makes the puppet answer with this response."""
    return json.dumps({"ok": GOOD | (response or {})}).encode()


def events(sent, kind):
    """The attributes of a transaction's events of one type."""
    return [{item.key: item.value for item in event.attributes} for event in sent.events if event.type == kind]


@pytest.fixture
def driver(chain, operator_key, sign):
    return Driver(chain, operator_key, sign)


@pytest.fixture
def new_driver(chain, new_key, sign):
    return lambda name: Driver(chain, new_key(name), sign)


@pytest.fixture
def puppet(driver, puppet_wasm):
    """The address of a puppet that holds 1000 coins."""
    assert driver.store(puppet_wasm).code == 0
    return driver.instantiate(funds=1000)


@pytest.fixture
def events_of():
    return events


@pytest.fixture
def good():
    return answer
