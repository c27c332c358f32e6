"""What can go wrong on the way to the chain and on it."""

from atlas.errors import AtlasError


class ChainError(AtlasError):
    """Root of the chain's errors. `log` is the chain's own text, where it is the chain that refused."""

    log: str = ""


class KeyFileError(ChainError):
    """A key file is unsafe, damaged or cannot be written."""


class ContractFileError(ChainError):
    """The contract's bytecode is missing or is not what its SHA-256 says."""


class ChainUnreachable(ChainError):
    """No answer from the chain; nothing that was asked has happened."""


class OutcomeUnknown(ChainUnreachable):
    """A signed transaction was handed over and no answer came: it may have landed or land yet.

    `hash` names it; `Ledger.find` tells what became of it. Sending again is safe only behind the contract's own
    idempotency (a job's key, a lease's attempt), since a new signature makes another transaction.
    """

    def __init__(self, message: str, transaction_hash: str) -> None:
        super().__init__(message)
        self.hash = transaction_hash


class WrongChain(ChainError):
    """The chain behind the URL is not the one that the network's settings name."""


class WrongContract(ChainError):
    """The contract's address holds another contract, or another version of it."""


class ContractRefused(ChainError):
    """The contract refused a message or a query; nothing has changed. `reason` is the contract's own text."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class InsufficientFunds(ChainError):
    """The sender holds less than the message or its fee needs."""


class InsufficientFee(InsufficientFunds):
    """The fee is below what the chain asks for, or the one who grants it does not pay it."""


class FeeTooHigh(ChainError):
    """A transaction would cost or use more than the network's settings allow; it was not sent."""


class ReplayedKey(ChainError):
    """An idempotency key stands for another message already; nothing was recorded."""


class ChainReset(ChainError):
    """The chain is not the one that the outbox knows: what was not decided there is set aside, and not sent here."""


class OutboxError(ChainError):
    """An outbox belongs to another key or chain, is in use for too long, or cannot be read."""


class TransactionFailed(ChainError):
    """The chain refused a transaction for a reason that is not the contract's.

    `codespace` and `code` are the chain's, as in `sdk` 11 for out of gas.
    """

    def __init__(self, message: str, codespace: str = "", code: int = 0) -> None:
        super().__init__(message)
        self.codespace = codespace
        self.code = code
