"""Send an outbox's messages to the chain: a thin loop around `decide`."""

import logging
import time
from collections.abc import Callable
from itertools import takewhile
from typing import Any

import stamina
from cosmpy.protos.cosmos.base.abci.v1beta1.abci_pb2 import TxResponse

from atlas.counts import counted
from chain_bridge.client import fees
from chain_bridge.client.blocks import describe_reset, in_blocks, is_on_chain, latest_block
from chain_bridge.client.failures import SequenceMismatch, explain, refused_message
from chain_bridge.client.messages import Tx
from chain_bridge.client.sender import Sender, contract_message, look_up, outcome_of
from chain_bridge.client.signed import Signed
from chain_bridge.errors import (
    ChainError,
    ChainReset,
    ChainUnreachable,
    ContractRefused,
    FeeTooHigh,
    InsufficientFunds,
    TransactionFailed,
)
from chain_bridge.outbox.decision import Action, ChainView, Flight, decide
from chain_bridge.outbox.outbox import Outbox
from chain_bridge.outbox.rows import Backlog, OutboxEntry

log = logging.getLogger(__name__)
_BATCH = 100
_TRIES = 3
_MISMATCHES = 10
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
_TIMED_OUT = ("sdk", 30)
_REFUSALS = (ContractRefused, InsufficientFunds, TransactionFailed)


class Delivery:
    """Sends an outbox's waiting messages, in order, one transaction after another."""

    def __init__(self, outbox: Outbox, sender: Sender, contract: Callable[[], str]) -> None:
        """`contract` returns the contract's address after its name and version were checked."""
        self.outbox = outbox
        self._sender = sender
        self._contract = contract

    def flush(self, patience_seconds: float) -> Backlog:
        """Send the waiting messages; see `Ledger.flush`."""
        for attempt in stamina.retry_context(
            on=ChainUnreachable,
            attempts=None if patience_seconds > 0 else 1,
            timeout=patience_seconds or None,
            wait_initial=0.1,
            wait_jitter=0.5,
            wait_max=10.0,
        ):
            with attempt, self.outbox.exclusive():
                self._begin()
                while self._send_some():
                    pass
        return self.outbox.backlog()

    def send_now(self, contract: str, key: str, name: str, body: Any, funds: int) -> Tx:
        """Record a message, send it after the messages that wait before it, and return its outcome.

        Raises the message's error if it fails. It is then withdrawn, unless it was broadcast.
        """
        with self.outbox.exclusive():
            self._begin()
            entry = self.outbox.record_now(contract, key, name, body, funds)
            try:
                while not (entry := self.outbox.by_id(entry.id)).decided:
                    self._send_some()
            except BaseException as error:
                self.outbox.withdraw(entry, str(error))  # no effect if the entry was signed
                raise
        self.outbox.forget(entry)
        return entry.outcome()

    def _begin(self) -> None:
        """Find the outcome of the last transaction, and check the chain and the contract."""
        self._reconcile()
        self._check_chain()
        contract = self._contract()
        count = self.outbox.set_aside_other_contracts(contract)
        if count:
            raise ChainReset(
                f"Set aside as orphaned and not sent: {counted(count, 'message')} in {self.outbox.path} for another "
                f"contract than {contract}. Repeat the commands that are still needed."
            )
        self.outbox.step("reconciled")

    def _check_chain(self) -> None:
        anchor = self.outbox.anchor()
        if anchor is not None:
            height = latest_block(self._sender.connection).height
            if not is_on_chain(self._sender.connection, anchor, height):
                self._start_over(anchor.height, height)

    def _start_over(self, known: int, height: int) -> None:
        network = self._sender.network
        reason = f"the chain {network.chain_id} was reset"
        count = self.outbox.start_over(reason)
        text = describe_reset(network, self.outbox.path, known, height)
        log.warning("%s", text)
        if count:
            raise ChainReset(
                f"{text} Set aside as orphaned and not sent: {counted(count, 'message')} that had not been included. "
                "Restore the chain if it should have them, or repeat the commands that are still needed."
            )

    # The transaction in flight

    def _reconcile(self) -> None:
        signed = self.outbox.flight()
        if signed is None:
            return
        deadline = time.monotonic() + self._sender.inclusion_seconds
        pause = _FIRST_PAUSE
        while not self._step_towards_outcome(signed):
            if time.monotonic() > deadline:
                raise self._sender.outcome_unknown(signed.hash)
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _step_towards_outcome(self, signed: Signed) -> bool:
        """Take the step that `decide` returns; True once the outcome is recorded."""
        found = look_up(self._sender.connection, signed.hash)
        flight = Flight(signed.sequence, signed.timeout_height)
        view = self._look(signed, found)
        action = decide(flight, view)
        if action is Action.SCAN:
            last = min(view.height, signed.timeout_height)
            there = in_blocks(self._sender.connection, signed.hash, signed.place.height, last)
            action = decide(flight, ChainView(view.found, view.sequence, view.height, view.same_chain, there))
        if action is Action.ADOPT and found is not None:
            self._adopt(found)
        elif action is Action.SIGN_ANEW:
            self.outbox.free()
        elif action is Action.ORPHAN:
            self._start_over(signed.place.height, view.height)
        elif action is Action.REBROADCAST:
            self._rebroadcast(signed)
            return False
        return action is not Action.WAIT

    def _look(self, signed: Signed, found: TxResponse | None) -> ChainView:
        if found is not None:
            return ChainView(True, signed.sequence, int(found.height))
        connection = self._sender.connection
        sequence = self._sequence_of_account()
        height = latest_block(connection).height
        return ChainView(False, sequence, height, is_on_chain(connection, signed.place, height))

    def _sequence_of_account(self) -> int:
        try:
            return self._sender.account_sequence()
        except InsufficientFunds:
            return 0  # the account does not exist on this chain

    def _rebroadcast(self, signed: Signed) -> None:
        try:
            self._sender.broadcast(signed)
        except SequenceMismatch:
            return  # another transaction took the sequence, or this one did: the next step finds out
        except TransactionFailed as error:
            if (error.codespace, error.code) != _TIMED_OUT:
                raise
            return
        self.outbox.step("broadcast")

    def _adopt(self, found: TxResponse) -> None:
        """Record the outcome of the transaction in flight."""
        entries = self.outbox.entries("signed")
        if not found.code:
            self.outbox.land([(entry, outcome_of(found, index)) for index, entry in enumerate(entries)])
            return
        error = explain(found.raw_log, found.codespace, found.code)
        index = refused_message(error)
        if index is not None and isinstance(error, ContractRefused | InsufficientFunds):
            self.outbox.refuse(entries[index], found.raw_log, found.codespace, found.code)
        elif len(entries) == 1 and entries[0].tries + 1 >= _TRIES:
            self.outbox.refuse(entries[0], found.raw_log, found.codespace, found.code)
        else:
            self.outbox.free(tried=True, alone=len(entries) > 1)

    # Waiting messages

    def _send_some(self) -> bool:
        """Send the first waiting messages, as many as fit into one transaction; False when none wait."""
        for attempt in stamina.retry_context(
            on=SequenceMismatch, attempts=_MISMATCHES, timeout=None, wait_initial=0.02, wait_jitter=0.1, wait_max=1.0
        ):
            with attempt:
                waiting = self.outbox.entries("waiting")[:_BATCH]
                if not waiting:
                    return False
                self._sender.account_sequence()
                entries, gas = self._fit(waiting)
                if entries:
                    self._send(entries, gas)
        return True

    def _fit(self, waiting: list[OutboxEntry]) -> tuple[list[OutboxEntry], int]:
        """The first entries that fit into one transaction, and its gas limit; refused entries are marked as refused."""
        entries = waiting[:1] if waiting[0].alone else list(takewhile(lambda entry: not entry.alone, waiting))
        while entries:
            try:
                gas = fees.gas_limit(self._sender.simulate(self._messages(entries)))
                self.outbox.step("simulated")
                fees.check_limits(self._sender.network, gas)
            except _REFUSALS as error:
                index = refused_message(error)
                if index is not None:
                    self.outbox.refuse(entries.pop(index), error.log)
                elif len(entries) > 1:
                    entries = entries[:1]
                else:
                    raise
            except FeeTooHigh:
                if len(entries) == 1:
                    raise
                entries = entries[: len(entries) // 2]
            else:
                return entries, gas
        return [], 0

    def _send(self, entries: list[OutboxEntry], gas: int) -> None:
        signed = self._sender.sign(self._messages(entries), gas)
        self.outbox.sign(entries, signed)
        self.outbox.step("signed")
        try:
            self._sender.broadcast(signed)
        except ChainUnreachable:
            pass  # the node may have accepted it: `wait_for_block` finds out
        except ChainError:
            # The only node that received these bytes refused them.
            self.outbox.free()
            raise
        self.outbox.step("broadcast")
        found = self._sender.wait_for_block(signed.hash)
        self.outbox.step("included")
        self._adopt(found)
        self.outbox.step("noted")

    def _messages(self, entries: list[OutboxEntry]) -> list[Any]:
        return [contract_message(self._sender, one.contract, one.name, one.body, one.funds) for one in entries]
