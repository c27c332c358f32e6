"""A chain with the puppet contract, driven without gRPC."""

import json

import pytest
from cosmpy.aerial.tx import SigningCfg, Transaction, TxFee
from cosmpy.crypto.address import Address
from cosmpy.protos.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from cosmpy.protos.cosmos.base.v1beta1.coin_pb2 import Coin
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import GetTxResponse
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgExecuteContract, MsgInstantiateContract, MsgStoreCode

from chain_bridge.embedded.chain import Chain, Settings
from chain_bridge.embedded.state.accounts import account_number

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


@pytest.fixture
def sign():
    """`sign(key, [message], sequence)` gives a transaction's bytes."""

    def build(key, messages, sequence, **options):
        transaction = Transaction()
        for message in messages:
            transaction.add_message(message)
        granter = options.get("granter")
        fee = TxFee(options.get("fee") or [], options.get("gas", 50_000_000), granter=granter and Address(granter))
        signing = SigningCfg.direct(key.wallet.public_key(), sequence)
        transaction.seal(signing, fee, memo=options.get("memo"), timeout_height=options.get("timeout"))
        number = options.get("number", account_number(key.address))
        transaction.sign(key.wallet.signer(), options.get("chain_id", "atlas-test"), number)
        return transaction.complete().tx.SerializeToString()

    return build


@pytest.fixture
def pay(operator_key, new_key):
    """A message that sends the stranger one coin, or as many as asked, from the operator or another."""

    def message(amount=1, sender=None, to=None):
        return MsgSend(
            from_address=sender or operator_key.address,
            to_address=to or new_key("stranger").address,
            amount=[Coin(denom="uatl", amount=str(amount))],
        )

    return message


@pytest.fixture
def priced(chain_home, clock, operator_key, chain):
    """The chain, opened again by a node that asks for 0.025 per unit of gas."""
    chain.close()
    priced = Chain(chain_home, Settings("atlas-test", gas_price=0.025), clock)
    yield priced
    priced.close()


@pytest.fixture
def payer(priced, operator_key, sign):
    """Drives the operator's key on the chain that asks for fees."""
    return Driver(priced, operator_key, sign)


@pytest.fixture
def new_payer(priced, new_key, sign):
    return lambda name: Driver(priced, new_key(name), sign)


@pytest.fixture
def transfers(sign, pay, operator_key):
    """So many transactions of the operator, each signed when it is asked for; the n-th sends the stranger n coins."""
    return lambda count, first=0: (sign(operator_key, [pay(n + 1)], n) for n in range(first, first + count))


@pytest.fixture
def prefix_of(operator_key, new_key, genesis):
    """`prefix_of(chain)` asserts that its state is that of a whole prefix of `transfers`, and tells of how many."""

    def check(chain, least=0):
        count = chain.stored_block().block.height
        assert count >= least, "what was acknowledged is there"
        total = count * (count + 1) // 2
        with chain.reading() as parts:
            assert parts.bank.balance(new_key("stranger").address, "uatl") == total
            assert parts.bank.balance(operator_key.address, "uatl") == genesis - total
        assert chain.sequence(operator_key.address) == count
        records, found = chain.search("tx.height>0", descending=False, limit=count + 1, offset=0)
        assert (len(records), found) == (count, count)
        blocks = [chain.stored_block(height) for height in range(1, count + 1)]
        assert [item.previous for item in blocks[1:]] == [item.hash for item in blocks[:-1]]
        return count

    return check
