"""Sends the transactions of one key one after another and waits for their outcomes."""

import hashlib
import json
import time
from threading import Lock
from typing import Any

import stamina
from cosmpy.aerial.tx import SigningCfg, Transaction, TxFee
from cosmpy.protos.cosmos.auth.v1beta1.auth_pb2 import BaseAccount
from cosmpy.protos.cosmos.auth.v1beta1.query_pb2 import QueryAccountRequest
from cosmpy.protos.cosmos.base.abci.v1beta1.abci_pb2 import TxResponse
from cosmpy.protos.cosmos.base.v1beta1.coin_pb2 import Coin
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import (
    BROADCAST_MODE_SYNC,
    BroadcastTxRequest,
    GetTxRequest,
    SimulateRequest,
)
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgExecuteContract

from chain_bridge.client import fees
from chain_bridge.client.blocks import latest_block
from chain_bridge.client.connection import Connection
from chain_bridge.client.failures import SequenceMismatch, explain
from chain_bridge.client.keys import Key
from chain_bridge.client.messages import Tx
from chain_bridge.client.network import Network
from chain_bridge.client.signed import Signed
from chain_bridge.errors import ChainUnreachable, OutcomeUnknown, TransactionFailed

_ALREADY_TAKEN = ("sdk", 19)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
_ATTEMPTS = 10


def look_up(connection: Connection, transaction_hash: str) -> TxResponse | None:
    """A transaction in its block, failed or not; None while it is in no block."""
    request = GetTxRequest(hash=transaction_hash)
    try:
        found: TxResponse = connection.ask(lambda chain: chain.transactions.GetTx(request).tx_response)
    except TransactionFailed as error:
        if "not found" in str(error):
            return None
        raise
    return found


def find_transaction(connection: Connection, transaction_hash: str) -> TxResponse | None:
    """The outcome of a transaction; None while it is in no block. Raises the error of a failed one."""
    found = look_up(connection, transaction_hash)
    if found is not None and found.code:
        raise explain(found.raw_log, found.codespace, found.code)
    return found


def outcome_of(answer: TxResponse, index: int = 0) -> Tx:
    """The outcome of one message of a transaction."""
    events = [{item.key: item.value for item in event.attributes} for event in answer.events if event.type == "wasm"]
    own = [event for event in events if event.get("msg_index", str(index)) == str(index)]
    return Tx(answer.txhash, answer.height, answer.gas_used, own)


class Sender:
    """Tracks its key's sequence number: queried once, then counted, and reset to the chain's value on a mismatch."""

    def __init__(self, connection: Connection, key: Key, inclusion_seconds: float) -> None:
        self.connection = connection
        self.inclusion_seconds = inclusion_seconds
        self._key = key
        self._lock = Lock()
        self._account_number = 0
        self._sequence: int | None = None

    @property
    def address(self) -> str:
        """The address that signs."""
        return self._key.address

    @property
    def network(self) -> Network:
        """The network that it sends to."""
        return self.connection.network

    def send(self, messages: list[Any]) -> TxResponse:
        """Send messages as one transaction and wait until it is in a block; all of them happen or none.

        A simulation runs first. It gives the gas limit, and refuses a failing transaction before a fee is paid.
        A transaction that may be in a block is never sent again. Raises `ContractRefused`, `InsufficientFunds`,
        `FeeTooHigh`, `TransactionFailed`, `ChainUnreachable` (not sent), `OutcomeUnknown` (possibly in a block).
        """
        with self._lock:
            for attempt in stamina.retry_context(
                on=SequenceMismatch, attempts=_ATTEMPTS, timeout=None, wait_initial=0.02, wait_jitter=0.1, wait_max=1.0
            ):
                with attempt:
                    signed = self._send_once(messages)
        return self.wait(signed.hash)

    def simulate(self, messages: list[Any]) -> int:
        """The gas that messages would use now; raises the error of a refusal."""
        sequence = self._next_sequence()
        try:
            data = self._seal(messages, sequence, 0, 0)
            request = SimulateRequest(tx_bytes=data)
            return self.connection.ask(lambda chain: int(chain.transactions.Simulate(request).gas_info.gas_used))
        except SequenceMismatch as mismatch:
            self._sequence = mismatch.expected
            raise

    def sign(self, messages: list[Any], gas: int) -> Signed:
        """A signed transaction with the key's next sequence; raises `FeeTooHigh`."""
        fees.check_limits(self.network, gas)
        place = latest_block(self.connection)
        sequence = self._next_sequence()
        timeout_height = place.height + self.network.timeout_blocks
        data = self._seal(messages, sequence, gas, timeout_height)
        return Signed(data, hashlib.sha256(data).hexdigest().upper(), sequence, timeout_height, place)

    def broadcast(self, signed: Signed) -> None:
        """Broadcast a transaction.

        Raises `SequenceMismatch` or another error of a refusal, and `ChainUnreachable`, after which the node may still
        have accepted the transaction.
        """
        request = BroadcastTxRequest(tx_bytes=signed.data, mode=BROADCAST_MODE_SYNC)
        answer = self.connection.ask(lambda chain: chain.transactions.BroadcastTx(request).tx_response)
        if answer.code and (answer.codespace, answer.code) != _ALREADY_TAKEN:
            raise explain(answer.raw_log, answer.codespace, answer.code)

    def wait(self, transaction_hash: str) -> TxResponse:
        """Wait until a broadcast transaction is in a block and return it; raises the error of a failed one, and
        `OutcomeUnknown` after `inclusion_seconds`.
        """
        found = self.wait_for_block(transaction_hash)
        if found.code:
            raise explain(found.raw_log, found.codespace, found.code)
        return found

    def wait_for_block(self, transaction_hash: str) -> TxResponse:
        """As `wait`, but returns a failed transaction instead of raising."""
        deadline = time.monotonic() + self.inclusion_seconds
        pause = _FIRST_PAUSE
        while True:
            try:
                found = look_up(self.connection, transaction_hash)
            except ChainUnreachable:
                found = None  # the chain may recover, and only the chain has the outcome
            if found is not None:
                return found
            if time.monotonic() + pause > deadline:
                raise self.outcome_unknown(transaction_hash)
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def outcome_unknown(self, transaction_hash: str) -> OutcomeUnknown:
        """The error for a transaction that was found in no block."""
        return OutcomeUnknown(
            f"The transaction {transaction_hash} was sent to {self.network.url} and is in no block of "
            f"{self.network.chain_id} after {self.inclusion_seconds:g} s; it may still be included. Check the "
            "contract's state before you repeat it.",
            transaction_hash,
        )

    def account_sequence(self) -> int:
        """Query the sequence that the chain expects next; later transactions continue from it."""
        self._sequence = None
        return self._next_sequence()

    def _send_once(self, messages: list[Any]) -> Signed:
        """Make one attempt; raises `SequenceMismatch` when the chain refused the sequence number."""
        gas = fees.gas_limit(self.simulate(messages))
        signed = self.sign(messages, gas)
        self._sequence = None  # unknown until the chain has answered
        try:
            self.broadcast(signed)
        except ChainUnreachable:
            self.wait(signed.hash)  # raises OutcomeUnknown unless the transaction is in a block
        except SequenceMismatch as mismatch:
            self._sequence = mismatch.expected
            raise
        self._sequence = signed.sequence + 1
        return signed

    def _seal(self, messages: list[Any], sequence: int, gas: int, timeout_height: int) -> bytes:
        network = self.network
        fee = fees.fee_of(network, gas)
        transaction = Transaction()
        for message in messages:
            transaction.add_message(message)
        transaction.seal(
            SigningCfg.direct(self._key.wallet.public_key(), sequence),
            fee=TxFee(f"{fee}{network.denom}" if fee else [], gas, granter=network.fee_granter),
            timeout_height=timeout_height,
        )
        transaction.sign(self._key.wallet.signer(), network.chain_id, self._account_number)
        return bytes(transaction.complete().tx.SerializeToString())

    def _next_sequence(self) -> int:
        if self._sequence is None:
            request = QueryAccountRequest(address=self._key.address)
            answer = self.connection.ask(lambda chain: chain.auth.Account(request).account)
            account = BaseAccount()
            if not answer.Unpack(account):
                raise TransactionFailed(f"{self._key.address} is not a plain account but {answer.type_url}.")
            self._account_number, self._sequence = account.account_number, account.sequence
        return int(self._sequence)


def contract_message(sender: Sender, contract: str, name: str, body: Any, funds: int) -> MsgExecuteContract:
    """One message to the contract, with money of the network's denomination."""
    coins = [Coin(denom=sender.network.denom, amount=str(funds))] if funds else []
    return MsgExecuteContract(
        sender=sender.address, contract=contract, msg=json.dumps({name: body}).encode(), funds=coins
    )
