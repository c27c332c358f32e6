"""The chain: runs transactions one at a time, each in a separate block and database transaction."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import RLock

from cosmpy.protos.cosmos.base.abci.v1beta1.abci_pb2 import TxResponse
from cosmpy.protos.cosmos.feegrant.v1beta1.feegrant_pb2 import Grant
from google.protobuf.message import Message

from atlas.disk.files import naming
from atlas.disk.locks import try_exclusive
from chain_bridge.embedded import gas
from chain_bridge.embedded.blocks import Block, Blocks, StoredBlock
from chain_bridge.embedded.errors import OutOfGas, Refused
from chain_bridge.embedded.execution.ante import admit
from chain_bridge.embedded.execution.events import Event, event
from chain_bridge.embedded.execution.execution import Execution
from chain_bridge.embedded.execution.handlers import HANDLERS
from chain_bridge.embedded.execution.parts import Parts
from chain_bridge.embedded.execution.transactions import Transaction, parse_transaction, transaction_hash
from chain_bridge.embedded.outcomes import Outcome, admitted, record, refused
from chain_bridge.embedded.search import count, parse_search, search
from chain_bridge.embedded.settings import Settings
from chain_bridge.embedded.state.accounts import Accounts
from chain_bridge.embedded.state.addresses import read_account
from chain_bridge.embedded.state.bank import Bank, Coin
from chain_bridge.embedded.state.database import Database
from chain_bridge.embedded.state.feegrants import FeeGrants
from chain_bridge.embedded.state.registry import ContractRegistry
from chain_bridge.embedded.vm.vm import Vm
from chain_bridge.errors import ChainError, WrongChain

__all__ = ["Chain", "Settings"]


class Chain:
    """An embedded chain in a folder. Only one process at a time may open it; its methods are thread-safe.

    `clock` gives unix seconds. The times of blocks always increase, even if the clock goes back.
    """

    def __init__(self, home: Path, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        with naming(home, ChainError):
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.settings = settings
        self._clock = clock
        self._lock = RLock()
        with ExitStack() as opened:
            opened.enter_context(_sole_use(home))
            self._database = opened.enter_context(closing(Database(home / "chain.db")))
            self._blocks = Blocks(self._database, settings)
            self._parts = _parts(home, settings, self._database)
            self._remember_birth(home)
            self._opened = opened.pop_all()

    def _remember_birth(self, home: Path) -> None:
        wanted = (self.settings.chain_id, self.settings.prefix, self.settings.denom)
        found = self._database.execute("SELECT chain_id, prefix, denom FROM chain").fetchone()
        if found is None:
            with self._database.transaction():
                self._database.execute("INSERT INTO chain VALUES (?, ?, ?)", *wanted)
                self._blocks.begin(self.settings, self._now())
                self._parts.accounts.create(self._parts.fee_collector)
        elif found != wanted:
            names = [" ".join(triple) for triple in (found, wanted)]
            raise WrongChain(f"{home} holds the chain {names[0]}, not {names[1]}. Use another folder.")

    def close(self) -> None:
        """Close the database and release the folder's lock."""
        with self._lock:
            self._opened.close()

    @contextmanager
    def reading(self) -> Iterator[Parts]:
        """The chain's parts, for reading; other threads cannot change them inside the block."""
        with self._lock:
            yield self._parts

    def fund(self, address: str, amount: int) -> bool:
        """Mint an address's genesis coins; return False, and change nothing, if it already received them."""
        address = read_account(address, self.settings.prefix)
        with self._lock, self._database.transaction():
            if self._database.execute("SELECT 1 FROM genesis WHERE address = ?", address).fetchone():
                return False
            self._database.execute("INSERT INTO genesis VALUES (?, ?)", address, str(amount))
            self._parts.bank.mint(address, Coin(self.settings.denom, amount))
            self._parts.accounts.create(address)
            return True

    def sequence(self, address: str) -> int:
        """How many transactions an account has sent; raises `InvalidAddress`, `NoSuchAccount`."""
        address = read_account(address, self.settings.prefix)
        with self._lock:
            return self._parts.accounts.sequence(address)

    def latest_block(self) -> Block:
        """The newest block, with the clock's current time, as if an empty block had just been made."""
        with self._lock:
            block = self._blocks.latest().block
            return Block(block.height, max(block.time_ns, self._now()), block.chain_id)

    def stored_block(self, height: int | None = None) -> StoredBlock:
        """The stored block at a height, or the newest; raises `NoSuchBlock`."""
        with self._lock:
            return self._blocks.latest() if height is None else self._blocks.at(height)

    def fee_grant(self, granter: str, grantee: str) -> Grant:
        """A grant that has not expired; raises `NoSuchGrant`, `InvalidAddress`."""
        granter, grantee = (read_account(address, self.settings.prefix) for address in (granter, grantee))
        with self._lock:
            return self._parts.grants.find(granter, grantee, self.latest_block().time_ns)

    def fee_grants(self, *, granter: str = "", grantee: str = "") -> list[Grant]:
        """The grants of one granter or to one grantee that have not expired."""
        with self._lock:
            return self._parts.grants.of(time_ns=self.latest_block().time_ns, granter=granter, grantee=grantee)

    def query(self, contract: str, message: bytes) -> bytes:
        """Query a contract; raises `Refused`."""
        with self._lock:
            meter = gas.GasMeter(gas.QUERY_LIMIT)
            return Execution(self._parts, self.latest_block(), meter).query(contract, message)

    def simulate(self, data: bytes) -> Outcome:
        """Run a transaction and undo it; signatures are not checked. Raises `Refused` when it would fail."""
        with self._lock, self._database.transaction(keep=False):
            transaction = parse_transaction(data, self.settings.prefix)
            block = self._next_block()
            self._parts.grants.prune(block.time_ns)
            execution = Execution(self._parts, block, gas.GasMeter(self.settings.block_gas))
            try:
                admit(transaction, execution, simulated=True)
                outcome = self._run(transaction, execution)
            except Refused as error:
                outcome = Outcome(execution.gas.used, error.code, error.codespace, str(error))
        if outcome.code:
            text = f"{outcome.log} with gas used: '{outcome.gas_used}'"
            raise Refused(text, outcome.codespace, outcome.code)
        return outcome

    def broadcast(self, data: bytes) -> TxResponse:
        """Admit a transaction and run it; when this returns, its outcome is on disk."""
        with self._lock:
            try:
                self._deliver(data)
            except Refused as error:
                return refused(transaction_hash(data), error)
            return admitted(transaction_hash(data))

    def find(self, transaction_hash: str) -> bytes | None:
        """The record of a transaction (a serialized `GetTxResponse`), or None if the chain does not have it."""
        with self._lock:
            return self._blocks.find(transaction_hash.upper())

    def search(self, text: str, *, descending: bool, limit: int, offset: int) -> tuple[list[bytes], int]:
        """A page of the records of matching transactions, and the number of all matches; raises `SearchRefused`."""
        conditions = parse_search(text)
        with self._lock:
            page = search(self._database, conditions, descending=descending, limit=limit, offset=offset)
            return page, count(self._database, conditions)

    def _deliver(self, data: bytes) -> None:
        if self.find(transaction_hash(data)) is not None:
            raise Refused("tx already in mempool", "sdk", 19)
        transaction = parse_transaction(data, self.settings.prefix)
        with self._database.transaction():
            block = self._next_block()
            self._parts.grants.prune(block.time_ns)
            execution = Execution(self._parts, block, gas.GasMeter(transaction.gas_limit))
            admit(transaction, execution)
            answer = record(transaction, self._run(transaction, execution), block)
            self._blocks.append(block, transaction.hash, data, answer)

    def _run(self, transaction: Transaction, execution: Execution) -> Outcome:
        """Run all messages or, if one fails, undo all; the events of the fee are kept in any case."""
        answers: list[Message] = []
        paid = list(execution.events)
        try:
            with self._database.savepoint():
                for message in transaction.messages:
                    answers.append(self._run_message(message, execution, len(answers)))
        except OutOfGas as error:
            return Outcome(execution.gas.used, error.code, error.codespace, str(error), paid)
        except Refused as error:
            log = f"failed to execute message; message index: {len(answers)}: {error}"
            return Outcome(execution.gas.used, error.code, error.codespace, log, paid)
        return Outcome(execution.gas.used, events=execution.events, answers=answers)

    def _run_message(self, message: Message, execution: Execution, index: int) -> Message:
        type_url = f"/{message.DESCRIPTOR.full_name}"
        handler = HANDLERS[type_url]
        mark = len(execution.events)
        module = type_url.split(".")[1]
        execution.events.append(event("message", action=type_url, sender=handler.signer(message), module=module))
        execution.gas.charge_has()  # the second check whether the type of message is blocked
        answer = handler.run(execution, message)
        execution.events[mark:] = [
            Event(item.type, (*item.attributes, ("msg_index", str(index)))) for item in execution.events[mark:]
        ]
        return answer

    def _next_block(self) -> Block:
        last = self._blocks.latest().block
        return Block(last.height + 1, max(last.time_ns + 1, self._now()), last.chain_id)

    def _now(self) -> int:
        return int(self._clock() * 10**9)


def _parts(home: Path, settings: Settings, database: Database) -> Parts:
    registry = ContractRegistry(database, settings.prefix)
    return Parts(
        settings=settings,
        database=database,
        accounts=Accounts(database, open_to_all=not settings.gas_price),
        bank=Bank(database),
        grants=FeeGrants(database),
        registry=registry,
        vm=Vm(home / "modules", registry.bytecode),
    )


@contextmanager
def _sole_use(home: Path) -> Iterator[None]:
    """Lock a folder against other processes; the system releases the lock when the process ends, even by a crash."""
    with try_exclusive(home / "chain.lock", ChainError) as mine:
        if not mine:
            raise ChainError(f"Another process runs the chain in {home}. Use that one, or another folder.")
        yield
