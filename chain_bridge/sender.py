"""Sends transactions of one key, one after another, and finds out what became of each."""

import hashlib
import math
import time
from threading import Lock
from typing import Any

import stamina
from cosmpy.aerial.tx import SigningCfg, Transaction, TxFee
from cosmpy.protos.cosmos.auth.v1beta1.auth_pb2 import BaseAccount
from cosmpy.protos.cosmos.auth.v1beta1.query_pb2 import QueryAccountRequest
from cosmpy.protos.cosmos.base.abci.v1beta1.abci_pb2 import TxResponse
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import (
    BROADCAST_MODE_SYNC,
    BroadcastTxRequest,
    GetTxRequest,
    SimulateRequest,
)

from chain_bridge.connection import Connection
from chain_bridge.errors import ChainUnreachable, OutcomeUnknown, TransactionFailed
from chain_bridge.failures import SequenceMismatch, explain
from chain_bridge.keys import Key

# What a simulation measures, and some air for what changes until the transaction runs.
GAS_FACTOR = 1.4
_ALREADY_TAKEN = ("sdk", 19)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
_ATTEMPTS = 10


def find_transaction(connection: Connection, transaction_hash: str) -> TxResponse | None:
    """What became of a transaction; None while it is in no block. Raises what its failure means if it failed there."""
    request = GetTxRequest(hash=transaction_hash)
    try:
        found: TxResponse = connection.ask(lambda chain: chain.transactions.GetTx(request).tx_response)
    except TransactionFailed as error:
        if "not found" in str(error):
            return None
        raise
    if found.code:
        raise explain(found.raw_log, found.codespace, found.code)
    return found


class Sender:
    """Owns the sequence of its key: asks for it once, counts on, and starts over from what the chain expects."""

    def __init__(self, connection: Connection, key: Key, inclusion_seconds: float) -> None:
        self._connection = connection
        self._key = key
        self._inclusion_seconds = inclusion_seconds
        self._lock = Lock()
        self._account_number = 0
        self._sequence: int | None = None

    def send(self, messages: list[Any]) -> TxResponse:
        """Send messages as one transaction and wait until it is in a block; all of them happen or none.

        A simulation comes first: it gives the gas limit, and refuses what would fail before anything is paid.
        Nothing that may have landed is sent again. Raises `ContractRefused`, `InsufficientFunds`,
        `TransactionFailed`, `ChainUnreachable` (nothing happened), `OutcomeUnknown` (it may have).
        """
        with self._lock:
            for attempt in stamina.retry_context(
                on=SequenceMismatch, attempts=_ATTEMPTS, timeout=None, wait_initial=0.02, wait_jitter=0.1, wait_max=1.0
            ):
                with attempt:
                    transaction_hash = self._send_once(messages)
        return self._wait(transaction_hash)

    def _send_once(self, messages: list[Any]) -> str:
        """One attempt; raises `SequenceMismatch` when the chain did not take it in for that reason."""
        try:
            sequence = self._next_sequence()
            data = self._sign(messages, sequence, self._gas_limit(messages, sequence))
            transaction_hash = hashlib.sha256(data).hexdigest().upper()
            self._sequence = None  # not known until the chain has answered
            self._broadcast(data, transaction_hash)
        except SequenceMismatch as mismatch:
            self._sequence = mismatch.expected
            raise
        self._sequence = sequence + 1
        return transaction_hash

    def _broadcast(self, data: bytes, transaction_hash: str) -> None:
        request = BroadcastTxRequest(tx_bytes=data, mode=BROADCAST_MODE_SYNC)
        try:
            answer = self._connection.ask(lambda chain: chain.transactions.BroadcastTx(request).tx_response)
        except ChainUnreachable:
            self._wait(transaction_hash)  # raises OutcomeUnknown unless it landed
            return
        if answer.code and (answer.codespace, answer.code) != _ALREADY_TAKEN:
            raise explain(answer.raw_log, answer.codespace, answer.code)

    def _wait(self, transaction_hash: str) -> TxResponse:
        deadline = time.monotonic() + self._inclusion_seconds
        pause = _FIRST_PAUSE
        while True:
            try:
                found = find_transaction(self._connection, transaction_hash)
            except ChainUnreachable:
                found = None  # it may come back, and only it knows
            if found is not None:
                return found
            if time.monotonic() + pause > deadline:
                network = self._connection.network
                raise OutcomeUnknown(
                    f"The transaction {transaction_hash} was handed to {network.url} and is in no block of "
                    f"{network.chain_id} after {self._inclusion_seconds:g} s; it may still land. "
                    "Look at the contract's state before doing it again.",
                    transaction_hash,
                )
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _gas_limit(self, messages: list[Any], sequence: int) -> int:
        request = SimulateRequest(tx_bytes=self._sign(messages, sequence, 0))
        used = self._connection.ask(lambda chain: int(chain.transactions.Simulate(request).gas_info.gas_used))
        return math.ceil(used * GAS_FACTOR)

    def _sign(self, messages: list[Any], sequence: int, gas_limit: int) -> bytes:
        network = self._connection.network
        fee = math.ceil(gas_limit * network.gas_price)
        transaction = Transaction()
        for message in messages:
            transaction.add_message(message)
        transaction.seal(
            SigningCfg.direct(self._key.wallet.public_key(), sequence),
            fee=TxFee(f"{fee}{network.denom}" if fee else [], gas_limit),
        )
        transaction.sign(self._key.wallet.signer(), network.chain_id, self._account_number)
        return bytes(transaction.complete().tx.SerializeToString())

    def _next_sequence(self) -> int:
        if self._sequence is None:
            account = self._account()
            self._account_number, self._sequence = account.account_number, account.sequence
        return self._sequence

    def _account(self) -> BaseAccount:
        request = QueryAccountRequest(address=self._key.address)
        answer = self._connection.ask(lambda chain: chain.auth.Account(request).account)
        account = BaseAccount()
        if not answer.Unpack(account):
            raise TransactionFailed(f"{self._key.address} is not a plain account but {answer.type_url}.")
        return account
