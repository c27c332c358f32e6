"""Errors of the chain and of the connection to it."""

from atlas.errors import AtlasError


class ChainError(AtlasError):
    """Base class of the chain's errors. `log` is the chain's own error text, if the chain refused."""

    log: str = ""


class KeyFileError(ChainError):
    """A key file is unsafe, damaged or cannot be written."""


class ContractFileError(ChainError):
    """The contract's bytecode is missing or does not match its SHA-256."""


class ChainUnreachable(ChainError):
    """No answer from the chain; the request had no effect."""


class OutcomeUnknown(ChainUnreachable):
    """A signed transaction was broadcast without an answer: it may be in a block, or may still enter one.

    `hash` is the transaction's; `Ledger.find` returns its outcome. A new signature makes another transaction, so it is
    safe to send again only where the contract is idempotent (a job's key, a lease's attempt).
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
    """The sender's balance does not cover the message or its fee."""


class InsufficientFee(InsufficientFunds):
    """The fee is below the chain's minimum, or the fee granter does not pay it."""


class FeeTooHigh(ChainError):
    """A transaction would cost or use more than the network's settings allow; it was not sent."""


class ReplayedKey(ChainError):
    """The idempotency key already belongs to another message; nothing was recorded."""


class ChainReset(ChainError):
    """The chain or contract is not the one that the outbox was used with.

    Undecided messages for the old one were set aside as `orphaned` and are not sent.
    """


class OutboxError(ChainError):
    """An outbox belongs to another key or chain, is in use for too long, or cannot be read."""


class TransactionFailed(ChainError):
    """The chain, not the contract, refused a transaction.

    `codespace` and `code` are the chain's, such as `sdk` 11 for out of gas.
    """

    def __init__(self, message: str, codespace: str = "", code: int = 0) -> None:
        super().__init__(message)
        self.codespace = codespace
        self.code = code
