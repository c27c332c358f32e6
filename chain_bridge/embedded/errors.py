"""Refusals, with the codespaces, codes and texts of the Cosmos SDK and wasmd as near as they are known.

Sources: cosmos-sdk `types/errors/errors.go`, wasmd `x/wasm/types/errors.go`.
"""

from chain_bridge.errors import ChainError


class Refused(ChainError):
    """The chain refuses a transaction, a message or a query; state stays as it was."""

    def __init__(self, text: str, codespace: str = "sdk", code: int = 18) -> None:
        super().__init__(text)
        self.codespace = codespace
        self.code = code


class ParseRefused(Refused):
    """A transaction's bytes are not what they should be."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text}: tx parse error", "sdk", 2)


class Unauthorized(Refused):
    """A signature does not fit, or the signer may not do this."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text}: unauthorized", "sdk", 4)


class FundsRefused(Refused):
    """An account holds less than it spends."""

    def __init__(self, balance: int, amount: int, denom: str) -> None:
        text = f"spendable balance {balance}{denom} is smaller than {amount}{denom}: insufficient funds"
        super().__init__(text, "sdk", 5)


class InvalidAddress(Refused):
    """A text is not an address of this chain."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text}: invalid address", "sdk", 7)


class OutOfGas(Refused):
    """A transaction or query used more gas than its limit."""

    def __init__(self, where: str, limit: int, used: int) -> None:
        text = f"out of gas in location: {where}; gasWanted: {limit}, gasUsed: {used}: out of gas"
        super().__init__(text, "sdk", 11)


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
    """A contract answered with an error, or could not run to its end. `reason` is its own text."""

    def __init__(self, entry: str, reason: str) -> None:
        verb = "execute" if entry == "reply" else entry
        super().__init__(f"{reason}: {verb} wasm contract failed", "wasm", _ENTRY_CODES[entry])
        self.reason = reason


class VmError(Exception):
    """The virtual machine stopped a call: a trap, a broken pointer, a forbidden write. Never leaves `vm.py`."""
