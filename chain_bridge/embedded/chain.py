"""The chain: takes transactions one at a time, each in a block and a database transaction of its own."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

from cosmpy.protos.cosmos.base.abci.v1beta1.abci_pb2 import TxResponse
from google.protobuf.message import Message

from chain_bridge.embedded import gas
from chain_bridge.embedded.addresses import decode, module_address
from chain_bridge.embedded.bank import Bank, Coin
from chain_bridge.embedded.database import Database
from chain_bridge.embedded.errors import OutOfGas, Refused, WrongSequence
from chain_bridge.embedded.events import Event, event
from chain_bridge.embedded.execution import Block, Execution, Parts
from chain_bridge.embedded.handlers import HANDLERS
from chain_bridge.embedded.outcomes import Outcome, admitted, record, refused
from chain_bridge.embedded.registry import Registry
from chain_bridge.embedded.transactions import Transaction, check_signature, parse_transaction, transaction_hash
from chain_bridge.embedded.vm import Vm
from chain_bridge.errors import ChainError, WrongChain


@dataclass(frozen=True)
class Settings:
    """What a chain is born with."""

    chain_id: str
    prefix: str = "atlas"
    denom: str = "uatl"


class Chain:
    """An embedded chain in a folder. One process at a time may hold it; its methods are thread-safe.

    `clock` gives unix seconds. Blocks never go back in time, whatever it says.
    """

    def __init__(self, home: Path, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.settings = settings
        self._clock = clock
        self._lock = RLock()
        with ExitStack() as opened:
            opened.enter_context(_sole_use(home))
            self._database = opened.enter_context(closing(Database(home / "chain.db")))
            registry = Registry(self._database, settings.prefix)
            machine = Vm(home / "modules", registry.bytecode)
            self._parts = Parts(self._database, Bank(self._database), registry, machine, settings.prefix)
            self._fees = module_address("fee_collector", settings.prefix)
            self._remember_settings(home)
            self._opened = opened.pop_all()

    def _remember_settings(self, home: Path) -> None:
        wanted = self.settings
        row = self._database.execute("SELECT chain_id, prefix, denom FROM chain").fetchone()
        if row is None:
            self._database.execute(
                "INSERT INTO chain VALUES (?, ?, ?, 0, ?)", wanted.chain_id, wanted.prefix, wanted.denom, self._now()
            )
        elif Settings(*row) != wanted:
            raise WrongChain(f"{home} holds the chain {Settings(*row)}, not {wanted}. Use another folder.")

    def close(self) -> None:
        """Let go of the folder."""
        with self._lock:
            self._opened.close()

    @contextmanager
    def reading(self) -> Iterator[Parts]:
        """The chain's parts, to be read while nothing changes."""
        with self._lock:
            yield self._parts

    def fund(self, address: str, amount: int) -> bool:
        """Mint an address's first coins; False when it has had them before (nothing happens then)."""
        decode(address, self.settings.prefix)
        with self._lock, self._database.transaction():
            if self._database.execute("SELECT 1 FROM genesis WHERE address = ?", address).fetchone():
                return False
            self._database.execute("INSERT INTO genesis VALUES (?, ?)", address, str(amount))
            self._parts.bank.mint(address, Coin(self.settings.denom, amount))
            return True

    def sequence(self, address: str) -> int:
        """How many transactions an account has sent; raises `InvalidAddress`."""
        decode(address, self.settings.prefix)
        with self._lock:
            row = self._database.execute("SELECT sequence FROM accounts WHERE address = ?", address).fetchone()
            return int(row[0]) if row else 0

    def latest_block(self) -> Block:
        """The newest block; its time goes on with the clock, as if an empty block had just been made."""
        with self._lock:
            height, last = self._database.execute("SELECT height, time_ns FROM chain").fetchone()
            return Block(height, max(last, self._now()), self.settings.chain_id)

    def query(self, contract: str, message: bytes) -> bytes:
        """Ask a contract; raises `Refused`."""
        with self._lock:
            meter = gas.GasMeter(gas.QUERY_LIMIT)
            return Execution(self._parts, self.latest_block(), meter).query(contract, message)

    def simulate(self, data: bytes) -> Outcome:
        """Run a transaction and undo it; signatures are not checked. Raises `Refused` when it would fail."""
        with self._lock, self._database.transaction(keep=False):
            transaction = parse_transaction(data, self.settings.prefix)
            execution = Execution(self._parts, self._next_block(), gas.GasMeter(gas.BLOCK_LIMIT))
            self._admit(transaction, execution)
            outcome = self._run(transaction, execution)
        if outcome.code:
            text = f"{outcome.log} with gas used: '{outcome.gas_used}'"
            raise Refused(text, outcome.codespace, outcome.code)
        return outcome

    def broadcast(self, data: bytes) -> TxResponse:
        """Take in a transaction and run it; when this returns, its outcome is on the disk."""
        with self._lock:
            try:
                self._deliver(data)
            except Refused as error:
                return refused(transaction_hash(data), error)
            return admitted(transaction_hash(data))

    def find(self, transaction_hash: str) -> bytes | None:
        """The record of a transaction (a serialized `GetTxResponse`), if the chain took it in."""
        with self._lock:
            row = self._database.execute(
                "SELECT answer FROM transactions WHERE hash = ?", transaction_hash.upper()
            ).fetchone()
            return bytes(row[0]) if row else None

    def _deliver(self, data: bytes) -> None:
        if self.find(transaction_hash(data)) is not None:
            raise Refused("tx already in mempool", "sdk", 19)
        transaction = parse_transaction(data, self.settings.prefix)
        check_signature(transaction, self.settings.chain_id)
        with self._database.transaction():
            block = self._next_block()
            execution = Execution(self._parts, block, gas.GasMeter(transaction.gas_limit))
            self._admit(transaction, execution)
            answer = record(transaction, self._run(transaction, execution), block)
            self._database.execute("UPDATE chain SET height = ?, time_ns = ?", block.height, block.time_ns)
            self._database.execute(
                "INSERT INTO transactions VALUES (?, ?, ?)", transaction.hash, block.height, answer.SerializeToString()
            )

    def _admit(self, transaction: Transaction, execution: Execution) -> None:
        """What holds before any message runs, and is kept when they fail: the fee and the sequence."""
        meter, sender = execution.gas, transaction.sender
        meter.charge(gas.TX_BYTE * transaction.size, "txSize")
        meter.charge(gas.SIGNATURE, "ante verify: secp256k1")
        if 0 < transaction.timeout_height < execution.block.height:
            text = f"block height: {execution.block.height}, timeout height: {transaction.timeout_height}"
            raise Refused(f"{text}: tx timeout height", "sdk", 30)
        expected = self.sequence(sender)
        if transaction.sequence != expected:
            raise WrongSequence(expected, transaction.sequence)
        self._parts.bank.send(sender, self._fees, transaction.fee)
        self._database.execute("INSERT OR REPLACE INTO accounts VALUES (?, ?)", sender, expected + 1)

    def _run(self, transaction: Transaction, execution: Execution) -> Outcome:
        """All messages or none."""
        answers: list[Message] = []
        try:
            with self._database.savepoint():
                for message in transaction.messages:
                    answers.append(self._run_message(message, execution, len(answers)))
        except OutOfGas as error:
            return Outcome(execution.gas.used, error.code, error.codespace, str(error))
        except Refused as error:
            log = f"failed to execute message; message index: {len(answers)}: {error}"
            return Outcome(execution.gas.used, error.code, error.codespace, log)
        return Outcome(execution.gas.used, events=execution.events, answers=answers)

    def _run_message(self, message: Message, execution: Execution, index: int) -> Message:
        type_url = f"/{message.DESCRIPTOR.full_name}"
        handler = HANDLERS[type_url]
        mark = len(execution.events)
        execution.events.append(event("message", action=type_url, sender=handler.signer(message)))
        answer = handler.run(execution, message)
        execution.events[mark:] = [
            Event(item.type, (*item.attributes, ("msg_index", str(index)))) for item in execution.events[mark:]
        ]
        return answer

    def _next_block(self) -> Block:
        height, last = self._database.execute("SELECT height, time_ns FROM chain").fetchone()
        return Block(height + 1, max(last + 1, self._now()), self.settings.chain_id)

    def _now(self) -> int:
        return int(self._clock() * 10**9)


@contextmanager
def _sole_use(home: Path) -> Iterator[None]:
    """Keep other processes off a folder; the lock goes with the process, however it ends."""
    with (home / "chain.lock").open("w") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ChainError(f"Another process runs the chain in {home}. Use that one, or another folder.") from error
        yield
