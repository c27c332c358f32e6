"""Plays the same steps on the embedded chain and on a wasmd node, and compares all that they say."""

import gzip
import hashlib
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from cosmpy.mnemonic import entropy_to_mnemonic
from cosmpy.protos.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from cosmpy.protos.cosmos.base.v1beta1.coin_pb2 import Coin
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgExecuteContract, MsgInstantiateContract, MsgStoreCode

from chain_bridge.client.keys import Key
from chain_bridge.networks.deploy import read_contract
from tests.support.conformance.raw_client import Outcome, RawClient

PREFIX, DENOM, CHAIN_ID, GAS_PRICE = "wasm", "uatl", "atlas-local-wasmd", 0.025
GENESIS = 10**15
GAS = 4_000_000
STORE_GAS = 20_000_000
POCKET = 10**10
CAST = ("owner", "client", "ann", "bob", "cem", "dora", "eve")

SETTINGS = {
    "denom": DENOM,
    "min_stake": "0",
    "heartbeat_seconds": 3600,
    "challenge_seconds": 1,
    "dispute_seconds": 1,
}

# What may differ between two runs of the same chain: gas, the place in wasmd's source, and moments in texts.
_MASKS = (
    (re.compile(r" ?\[[^\]\s]+\.go:\d+\]"), ""),
    (re.compile(r"gas used: '\d+'"), "gas used: 'N'"),
    (re.compile(r"in location: [^;]+; gasWanted: (\d+), gasUsed: \d+"), r"gasWanted: \1"),
    (re.compile(r"block height: \d+"), "block height: N"),
    (re.compile(r"account number \(\d+\)"), "account number (N)"),
    # wasmd writes these two addresses as bytes that are no text.
    (re.compile(r"^.* does not allow to pay fees for .*?: "), ""),
)


@dataclass(frozen=True)
class Do:
    """A message of the contract. A callable message is made from the block time just before it is sent."""

    sender: str
    message: Any
    funds: str = ""
    refused: str = ""
    wait: float = 0


@dataclass(frozen=True)
class Ask:
    """A query of the contract."""

    question: Any
    refused: str = ""
    wait: float = 0


@dataclass(frozen=True)
class Scene:
    """What the steps of a vector may refer to: the contract's address and everybody's keys."""

    contract: str
    keys: dict[str, Key]

    def __getitem__(self, name: str) -> str:
        return self.keys[name].address


@dataclass(frozen=True)
class Vector:
    """A contract with these settings, beside those of `SETTINGS`, and what is done with it."""

    name: str
    settings: dict[str, Any]
    steps: Callable[[Scene], list[Do | Ask]]


@dataclass
class Side:
    """One of the two chains, with ways to let time pass on it and to set its clock after the other's."""

    client: RawClient
    pass_time: Callable[[float], None]
    follow: Callable[[int], None] = lambda seconds: None
    code_id: int = 0

    def send(self, key: Key, messages: list[Any], gas: int = GAS, fee: str | None = None, **options: Any) -> Outcome:
        """A transaction's outcome; the fee is what the gas costs unless another one is given."""
        data = self.client.sign(key, messages, gas, fee_for(gas) if fee is None else fee, **options)
        return self.client.broadcast(data)

    def deliver(self, key: Key, messages: list[Any], gas: int = GAS) -> Outcome:
        """Send what must succeed."""
        outcome = self.send(key, messages, gas, fee_for(gas))
        assert outcome.code == 0, outcome.log
        return outcome

    def store(self, key: Key) -> None:
        bytecode = gzip.compress(read_contract(), 9, mtime=0)
        outcome = self.deliver(key, [MsgStoreCode(sender=key.address, wasm_byte_code=bytecode)], STORE_GAS)
        self.code_id = int(_attribute(outcome, "store_code", "code_id"))

    def instantiate(self, key: Key, settings: dict[str, Any]) -> str:
        """A new contract's address; `settings` that differ from `SETTINGS`."""
        message = MsgInstantiateContract(
            sender=key.address,
            admin=key.address,
            code_id=self.code_id,
            label="conformance",
            msg=json.dumps(SETTINGS | settings).encode(),
        )
        return _attribute(self.deliver(key, [message]), "instantiate", "_contract_address")


def fee_for(gas: int) -> str:
    """The least that the chains take."""
    return f"{math.ceil(gas * Fraction(str(GAS_PRICE)))}{DENOM}"


def make_keys(owner_words: str) -> dict[str, Key]:
    """The cast's keys, the same in every run but for the owner's."""
    words = {name: entropy_to_mnemonic(hashlib.sha256(name.encode()).digest()) for name in CAST}
    return {name: Key(text, PREFIX) for name, text in (words | {"owner": owner_words}).items()}


def prepare(side: Side, keys: dict[str, Key]) -> None:
    """Give everybody coins and store the contract's code."""
    owner = keys["owner"]
    coins = [Coin(denom=DENOM, amount=str(POCKET))]
    sends = [MsgSend(from_address=owner.address, to_address=keys[name].address, amount=coins) for name in CAST[1:]]
    side.deliver(owner, sends)
    side.store(owner)


def parse_coins(text: str) -> list[Coin]:
    """`5uatl,1ufoo` as coins."""
    found = re.findall(r"(\d+)([a-zA-Z/]+)", text)
    return [Coin(amount=amount, denom=denom) for amount, denom in found]


def as_message(scene: Scene, sender: str, body: Any, funds: str = "") -> MsgExecuteContract:
    """A message of the contract; a body of bytes goes as it is."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return MsgExecuteContract(sender=scene[sender], contract=scene.contract, msg=text, funds=parse_coins(funds))


def mask(text: str) -> str:
    for pattern, replacement in _MASKS:
        text = pattern.sub(replacement, text)
    return text


def _attribute(outcome: Outcome, event_type: str, name: str) -> str:
    return next(
        value for item in outcome.events if item.type == event_type for key, value in item.attributes if key == name
    )
