"""Refusals, with the codespaces, codes and texts of the Cosmos SDK and wasmd as far as they are known.

Sources: cosmos-sdk `types/errors/errors.go`, `x/feegrant/errors.go`, wasmd `x/wasm/types/errors.go`.
"""

from chain_bridge.errors import ChainError


class Refused(ChainError):
    """The chain refuses a transaction, a message or a query; the state is unchanged."""

    def __init__(self, text: str, codespace: str = "sdk", code: int = 18) -> None:
        super().__init__(text)
        self.codespace = codespace
        self.code = code


class ParseRefused(Refused):
    """A transaction's bytes are malformed."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text}: tx parse error", "sdk", 2)


class Unauthorized(Refused):
    """A signature is invalid, or the signer does not have permission."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text}: unauthorized", "sdk", 4)


class FundsRefused(Refused):
    """An account holds less than it spends."""

    def __init__(self, balance: int, amount: int, denom: str) -> None:
        text = f"spendable balance {balance}{denom} is smaller than {amount}{denom}: insufficient funds"
        super().__init__(text, "sdk", 5)


class InvalidAddress(Refused):
    """A text is not an address of this chain, for the given `reason`."""

    def __init__(self, reason: str, role: str = "") -> None:
        super().__init__(f"{role}{reason}: invalid address", "sdk", 7)
        self.reason = reason


class ForeignAddress(InvalidAddress):
    """An address has the prefix of another chain."""


class MessageRefused(Refused):
    """A message is malformed; it is refused before any fee is taken."""


class OutOfGas(Refused):
    """A transaction or query used more gas than its limit."""

    def __init__(self, where: str, limit: int, used: int) -> None:
        text = f"out of gas in location: {where}; gasWanted: {limit}, gasUsed: {used}: out of gas"
        super().__init__(text, "sdk", 11)


class GasLimitRefused(Refused):
    """A transaction's gas limit is missing, or above the limit of a block."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text}: invalid gas limit", "sdk", 41)


class FeeRefused(Refused):
    """A transaction offers less than the node's price for its gas limit."""

    def __init__(self, got: str, required: str) -> None:
        super().__init__(f"insufficient fees; got: {got} required: {required}: insufficient fee", "sdk", 13)


class NoSuchAccount(Refused):
    """This account does not exist yet: it has received no coins and no fee grant, and sent no transaction."""

    def __init__(self, address: str, role: str = "account") -> None:
        super().__init__(f"{role} {address} does not exist: unknown address", "sdk", 9)
        self.address = address


class NoSuchGrant(Refused):
    """There is no such fee grant, or it has expired."""

    def __init__(self) -> None:
        super().__init__("fee-grant not found: not found", "sdk", 38)


class GrantRefused(Refused):
    """A fee grant does not cover a transaction, or an allowance is not valid."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text, "feegrant", code)


class WrongSequence(Refused):
    """A transaction was signed for another sequence number than the account's next."""

    def __init__(self, expected: int, found: int) -> None:
        text = f"account sequence mismatch, expected {expected}, got {found}: incorrect account sequence"
        super().__init__(text, "sdk", 32)


class NoSuchContract(Refused):
    """No contract has this address."""

    def __init__(self, address: str) -> None:
        super().__init__(f"address {address}: no such contract", "wasm", 22)
        self.address = address


class NoSuchCode(Refused):
    """No code has this number."""

    def __init__(self, code_id: int) -> None:
        super().__init__(f"code id {code_id}: no such code", "wasm", 28)


class CodeRefused(Refused):
    """Bytecode cannot run on this chain."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text}: create wasm contract failed", "wasm", 2)


_ENTRY_CODES = {"instantiate": 4, "execute": 5, "reply": 5, "query": 9, "migrate": 11}


class ContractFailed(Refused):
    """A contract answered with an error; `reason` is the contract's text."""

    def __init__(self, entry: str, reason: str) -> None:
        verb = "execute" if entry == "reply" else entry
        super().__init__(f"{reason}: {verb} wasm contract failed", "wasm", _ENTRY_CODES[entry])
        self.reason = reason


class VmFailed(Refused):
    """A contract's call ended in a trap or broke a rule of the virtual machine."""

    def __init__(self, reason: str) -> None:
        where = "Error calling the VM: Error executing Wasm: Wasmer runtime error: RuntimeError"
        super().__init__(f"{where}: {reason}: wasmvm error", "wasm", 29)


class AnswerMalformed(Refused):
    """A contract's answer is malformed."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the contract's answer is malformed: {reason}: wasmvm error", "wasm", 29)


class NoSuchBlock(Refused):
    """The chain has no block of this height."""

    def __init__(self, height: int, newest: int) -> None:
        text = f"requested height {height} but height must not be less than 1 or greater than the current height"
        super().__init__(f"{text} {newest}: invalid height", "sdk", 26)


class SearchRefused(Refused):
    """A search for transactions is malformed, or makes a comparison that is not supported."""


class StateNotWritten(ChainError):
    """The chain's state cannot be written to disk. Nothing has changed; the chain continues once writes succeed."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem} Nothing has changed. The chain continues when the disk accepts writes again.")


class StateDamaged(ChainError):
    """The chain's file is damaged; the chain cannot continue."""


class VmError(Exception):
    """The virtual machine stopped a call: a trap, an invalid pointer, a forbidden write. `vm.py` converts it."""
