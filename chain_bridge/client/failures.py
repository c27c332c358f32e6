"""Map the chain's error texts to typed errors; the texts are those of the Cosmos SDK and wasmd."""

import re

from chain_bridge.errors import (
    ChainError,
    ContractRefused,
    InsufficientFee,
    InsufficientFunds,
    TransactionFailed,
    WrongContract,
)

_FRAME = re.compile(r"^(rpc error: code = \w+ desc = )*(failed to execute message; message index: \d+: )?")
_CONTRACT = re.compile(r"^(?P<reason>.*): (instantiate|execute|query|migrate) wasm contract failed", re.DOTALL)
_NO_ACCOUNT = re.compile(r"account \S+ (not found|does not exist)")
_MESSAGE_INDEX = re.compile(r"failed to execute message; message index: (\d+): ")
_FEE = re.compile(r"insufficient fee|fee-grant not found|fee allowance|fee limit exceeded|does not allow to pay fees")
# wasmd writes granter and grantee as raw bytes, which are not text.
_GRANT = re.compile(r"^.*? does not allow to pay fees for .*?: ", re.DOTALL)
_FOREIGN_MODEL = re.compile(r"model \S+ belongs to \S+, not to \S+$")
_SEQUENCE = re.compile(r"account sequence mismatch, expected (\d+), got (\d+)")


class SequenceMismatch(ChainError):
    """The chain expects another sequence number; it did not accept the transaction."""

    def __init__(self, expected: int, used: int) -> None:
        super().__init__(
            f"The account's next sequence is {expected}, not {used}. Another process seems to send with the same key: "
            "give each process its own key."
        )
        self.expected = expected


def refused_message(error: ChainError) -> int | None:
    """The index of the message that the chain refused; None when it refused the whole transaction."""
    found = _MESSAGE_INDEX.search(error.log)
    return int(found[1]) if found else None


def explain(log: str, codespace: str = "", code: int = 0) -> ChainError:
    """The typed error for a refusal: the contract's own, missing funds, a wrong sequence, or another."""
    error = _meaning(log, codespace, code)
    error.log = log
    return error


def _meaning(log: str, codespace: str, code: int) -> ChainError:
    text = _FRAME.sub("", log)
    if found := _SEQUENCE.search(text):
        return SequenceMismatch(int(found[1]), int(found[2]))
    if contract := _CONTRACT.match(text):
        reason = contract["reason"]
        return ContractRefused(f"The contract refused: {reason}{_advice(reason)}", reason)
    if "no such contract" in text:
        return WrongContract(f"There is no such contract on this chain ({text}). Deploy it, or correct its address.")
    if _NO_ACCOUNT.search(text):
        return InsufficientFunds(f"The account has never held coins on this chain ({text}). Send it some first.")
    if _FEE.search(text):
        return InsufficientFee(
            f"The chain does not accept the fee: {_GRANT.sub('', text)}. Correct the network's gas_price or max_fee; "
            "where another account pays the fees, its grant is missing or used up: have it granted again "
            "(atlas chain grant)."
        )
    if "insufficient funds" in text:
        return InsufficientFunds(f"The account cannot pay: {text}. Fund it, or lower the amount.")
    return TransactionFailed(f"The chain refused ({codespace} {code}): {text}", codespace, code)


def _advice(reason: str) -> str:
    """What to do about a refusal that depends on who signs, as a further sentence; empty for others."""
    if reason.startswith("the contract is paused by its owner"):
        return ". `atlas chain owner` shows the owner, who ends the pause with `atlas chain unpause`."
    if reason == "Caller is not the contract's current owner":
        return ". `atlas chain owner` shows the owner; only a transaction with its key is accepted."
    if _FOREIGN_MODEL.match(reason):
        return ". Sign with the owner's key: --key FILE."
    return ""
