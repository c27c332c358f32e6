"""Bad input through the bridge: a typed error in the same words on both chains, and nothing has changed."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from chain_bridge.client.messages import Assignment, SlotAttempt
from chain_bridge.client.network import Network
from chain_bridge.errors import (
    ContractRefused,
    FeeTooHigh,
    InsufficientFee,
    InsufficientFunds,
    WrongChain,
    WrongContract,
)
from chain_bridge.ledger import Ledger
from tests.support.conformance.both_chains import CHAIN_ID, GAS_PRICE, PREFIX, Scene, Side, as_message, make_keys, mask
from tests.support.conformance.vectors.rounds import CHECKPOINT, DONE, GOOD, evidence, prepared, submit

JOB = {"spec": CHECKPOINT, "dataset": CHECKPOINT, "shards": 4, "rounds": 2, "reward": 7, "lease_seconds": 600}
FORGED = {"leaf": b"{}", "proof": [b"\x01" * 32] * 3, "evidence": CHECKPOINT}
# The embedded chain estimates gas, so what follows from it may differ a little.
AMOUNTS = re.compile(r"\d+(?=uatl| gas)")


@dataclass(frozen=True)
class Wrong:
    """What is wrong, and the error and a part of the words that must come of it. `network`: settings that differ."""

    name: str
    error: type[Exception]
    words: str
    act: Callable[[Ledger], Any]
    sender: str = "eve"
    network: dict[str, Any] = field(default_factory=dict)


def beat(ledger: Ledger) -> Any:
    return ledger.heartbeat()


CASES = [
    Wrong("wrong sender", ContractRefused, "is not the owner of job 1", lambda ledger: ledger.cancel_job(1)),
    Wrong("not the administrator", ContractRefused, "current owner", lambda ledger: ledger.pause(True)),
    Wrong(
        "replayed key", ContractRefused, "job key first is already used",
        lambda ledger: ledger.create_job("first", **JOB, escrow=70), "client",
    ),
    Wrong(
        "stale attempt", ContractRefused, "slot 0 is at attempt 1, not 9",
        lambda ledger: ledger.complete_batch(1, 2, [SlotAttempt(0, 9)]), "client",
    ),
    Wrong(
        "attempt out of turn", ContractRefused, "the attempt must be 1, not 2",
        lambda ledger: ledger.assign_batch(1, 2, CHECKPOINT, [Assignment(1, 1, 2)]), "client",
    ),
    Wrong("forged proof", ContractRefused, "does not lead", lambda ledger: ledger.challenge(1, 1, 0, **FORGED)),
    Wrong("malformed address", ContractRefused, "bech32", lambda ledger: ledger.withdraw_for(["wasm1wrong"])),
    Wrong("no such node", ContractRefused, "node 99 is not registered", lambda ledger: ledger.node(99)),
    Wrong(
        "foreign denom", InsufficientFunds, "5ufoo",
        lambda ledger: ledger.top_up(1, "more", 5), "client", {"denom": "ufoo"},
    ),
    Wrong(
        "more than there is", InsufficientFunds, "cannot pay",
        lambda ledger: ledger.top_up(1, "more", 10**15), "client",
    ),
    Wrong("insufficient fee", InsufficientFee, "insufficient fee", beat, "ann", {"gas_price": 0.001}),
    Wrong("fee cap", FeeTooHigh, "the cap of", beat, "ann", {"max_fee": 1}),
    Wrong("no account", InsufficientFunds, "never held coins", beat, "nobody"),
    Wrong("unknown chain id", WrongChain, CHAIN_ID, beat, "ann", {"chain_id": "other-1"}),
    Wrong("no contract there", WrongContract, "no such contract", beat, "ann", {"contract": "bob"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def stage(pair):
    """Both sides, and the scene of a contract with one submitted round and one lease in the next."""
    *sides, keys = pair
    keys = keys | {"nobody": make_keys(" ".join(["zoo"] * 23 + ["vote"]))["owner"]}
    settings = {"min_stake": "1000", "challenge_seconds": 900}
    (address,) = {side.instantiate(keys["owner"], settings) for side in sides}
    scene = Scene(address, keys)
    lease = {"slot": 0, "node": 1, "attempt": 1}
    script = [(step.sender, step.message, step.funds) for step in prepared()]
    script.append(("client", submit(evidence(scene, *DONE), *GOOD), ""))
    script.append(("client", {"assign_batch": {"job": 1, "round": 2, "plan": CHECKPOINT, "items": [lease]}}, ""))
    for sender, body, funds in script:
        for side in sides:
            side.deliver(keys[sender], [as_message(scene, sender, body, funds)])
    return sides, scene


def network_of(side: Side, scene: Scene, changes: dict[str, Any]) -> Network:
    if "contract" in changes:
        changes = changes | {"contract": scene[changes["contract"]]}
    settings = {"chain_id": CHAIN_ID, "contract": scene.contract, "gas_price": GAS_PRICE} | changes
    return Network(url=side.client.url, prefix=PREFIX, **settings)


@pytest.mark.wasmd
@pytest.mark.parametrize("wrong", CASES, ids=lambda wrong: wrong.name)
def test_both_chains_raise_the_same(stage, wrong):
    sides, scene = stage
    key = scene.keys[wrong.sender]
    said = []
    for side in sides:
        before = side.client.contract_state(scene.contract), side.client.balance(key.address)
        with Ledger(network_of(side, scene, wrong.network), key) as ledger, pytest.raises(wrong.error) as raised:
            wrong.act(ledger)
        assert type(raised.value) is wrong.error
        assert wrong.words in str(raised.value)
        assert (side.client.contract_state(scene.contract), side.client.balance(key.address)) == before
        said.append(AMOUNTS.sub("N", mask(str(raised.value)).replace(side.client.url, "URL")))
    assert said[0] == said[1]
