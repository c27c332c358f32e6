import pytest

from chain_bridge.client.failures import SequenceMismatch, explain, refused_message
from chain_bridge.errors import ContractRefused, InsufficientFee, InsufficientFunds, TransactionFailed, WrongContract


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (
            "failed to execute message; message index: 0: there is no job 7: execute wasm contract failed",
            "there is no job 7",
        ),
        (
            "rpc error: code = Unknown desc = rpc error: code = Unknown desc = failed to execute message; "
            "message index: 0: a: b\nc: execute wasm contract failed "
            "[CosmWasm/wasmd/x/wasm/keeper/keeper.go:458] with gas used: '9'",
            "a: b\nc",
        ),
        ("node 7 is not registered: query wasm contract failed", "node 7 is not registered"),
        ("an escrow of insufficient funds: instantiate wasm contract failed", "an escrow of insufficient funds"),
    ],
)
def test_the_contracts_own_words_are_kept(log, reason):
    error = explain(log, "wasm", 5)
    assert isinstance(error, ContractRefused)
    assert error.reason == reason
    assert reason in str(error)


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("the contract is paused by its owner: only heartbeats work", "`atlas chain unpause`"),
        ("Caller is not the contract's current owner", "`atlas chain owner`"),
        ("model tone belongs to atlas1a, not to atlas1b", "--key FILE"),
    ],
)
def test_a_refusal_for_want_of_a_permission_has_advice(reason, advice):
    error = explain(f"{reason}: execute wasm contract failed", "wasm", 5)
    assert error.reason == reason
    assert str(error).startswith(f"The contract refused: {reason}. ")
    assert advice in str(error)


@pytest.mark.parametrize(
    ("log", "kind"),
    [
        ("spendable balance 3uatl is smaller than 5uatl: insufficient funds", InsufficientFunds),
        ("insufficient fees; got: 0uatl required: 25uatl: insufficient fee", InsufficientFee),
        ("fee-grant not found: not found: atlas1a does not allow to pay fees for atlas1b: not found", InsufficientFee),
        ("basic allowance: fee limit exceeded: atlas1a does not allow to pay fees for atlas1b", InsufficientFee),
        ("rpc error: code = NotFound desc = account atlas1xyz not found", InsufficientFunds),
        ("address atlas1xyz: no such contract", WrongContract),
        ("out of gas in location: WriteFlat; gasWanted: 10, gasUsed: 11: out of gas", TransactionFailed),
    ],
)
def test_other_refusals_have_their_kinds(log, kind):
    assert type(explain(log, "sdk", 11)) is kind


def test_a_sequence_mismatch_tells_the_number_that_is_expected():
    error = explain("account sequence mismatch, expected 12, got 9: incorrect account sequence", "sdk", 32)
    assert isinstance(error, SequenceMismatch)
    assert error.expected == 12


def test_a_failed_transaction_keeps_the_chains_code():
    error = explain("out of gas", "sdk", 11)
    assert isinstance(error, TransactionFailed)
    assert (error.codespace, error.code) == ("sdk", 11)


def test_a_refusal_names_the_message_that_it_is_about():
    log = "failed to execute message; message index: 3: there is no job 7: execute wasm contract failed"
    assert refused_message(explain(log, "wasm", 5)) == 3
    assert explain(log, "wasm", 5).log == log
    assert refused_message(explain("insufficient fees; got: 0uatl required: 25uatl: insufficient fee")) is None
