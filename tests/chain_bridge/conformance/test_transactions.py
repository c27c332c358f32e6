"""Fees, limits, signatures, coins and fee grants: the embedded chain says what a real node says."""

import hashlib

import pytest
from cosmpy.mnemonic import entropy_to_mnemonic

from chain_bridge.client.keys import Key
from tests.support.conformance.both_chains import PREFIX, mask
from tests.support.conformance.play import comparable
from tests.support.conformance.transactions import AFTER_ITS_TIME, CASES, calls, coins

PAUSE = 10


@pytest.fixture
def people(request):
    """Adds two who never had coins to the cast; new ones for each test."""

    def add(keys):
        words = {
            name: entropy_to_mnemonic(hashlib.sha256(f"{name} {request.node.name}".encode()).digest())
            for name in ("newcomer", "stranger")
        }
        return keys | {name: Key(text, PREFIX) for name, text in words.items()}

    return add


def check(case, outcome):
    if case.refused:
        assert outcome.code and case.refused in outcome.log, f"{case.name}: {outcome}"
    else:
        assert not outcome.code, f"{case.name}: {outcome.log}"


def test_embedded_chain(alone, people):
    side, keys = alone
    keys = people(keys)
    contract = side.instantiate(keys["owner"], {})
    for case in CASES:
        check(case, case.send(side, keys, contract))
    side.pass_time(PAUSE)
    check(AFTER_ITS_TIME, AFTER_ITS_TIME.send(side, keys, contract))


@pytest.mark.wasmd
def test_wasmd_says_the_same(pair, people):
    real, ours, keys = pair
    keys = people(keys)
    contract = real.instantiate(keys["owner"], {})
    assert ours.instantiate(keys["owner"], {}) == contract
    differences = []
    for case in [*CASES, AFTER_ITS_TIME]:
        if case is AFTER_ITS_TIME:
            real.pass_time(PAUSE)
        ours.follow(real.client.block_seconds())
        said = case.send(real, keys, contract)
        if said.seconds is not None:
            ours.follow(said.seconds)
        answered = case.send(ours, keys, contract)
        check(case, said)
        if comparable(said) != comparable(answered):
            differences.append(f"{case.name}:\n  wasmd    {comparable(said)}\n  embedded {comparable(answered)}")
    assert not differences, "\n".join(differences)
    balances = [[side.client.balance(keys[name].address) for name in keys] for side in (real, ours)]
    assert balances[0] == balances[1]


@pytest.mark.wasmd
def test_simulation_refuses_in_the_same_words(pair):
    """The bridge learns of most refusals from a simulation, which says them in its own frame."""
    real, ours, keys = pair
    contract = real.instantiate(keys["owner"], {})
    assert ours.instantiate(keys["owner"], {}) == contract
    for build in (
        calls("ann", {"withdraw": {}}),
        calls("ann", {"nonsense": {}}),
        calls("ann", {"heartbeat": {}}, at="bob"),
        coins("999999999999uatl"),
        coins("5ufoo"),
        coins("5uatl", to="wasm1wrong"),
    ):
        answers = []
        for side in (real, ours):
            data = side.client.sign(keys["ann"], build(keys, contract, side), 0, "")
            answers.append(mask(side.client.simulate(data)[1]))
        assert answers[0] == answers[1]
        assert answers[0]
