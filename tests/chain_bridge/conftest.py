"""An embedded chain on a free port, in this process, with a clock that tests move, and ledgers to it."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest
import wasmtime
from cosmpy.aerial.tx import SigningCfg, Transaction, TxFee

from chain_bridge.client.keys import load_or_create_key
from chain_bridge.client.network import Network
from chain_bridge.embedded.chain import Chain, Settings
from chain_bridge.embedded.execution.transactions import account_number
from chain_bridge.embedded.facade.server import Server
from chain_bridge.embedded.facade.tx import Transactions
from chain_bridge.embedded.vm.vm import Vm
from chain_bridge.ledger import Ledger
from chain_bridge.networks.deploy import CONTRACT_WASM, deploy_contract, read_contract
from chain_bridge.networks.networks import LOCAL, find_preset
from tests.support.paths import PUPPET, REPOSITORY

LOCALNET = REPOSITORY / "scripts" / "localnet"


class MovableClock:
    """Unix seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(new_clock):
    return new_clock()


@pytest.fixture(scope="session")
def new_clock():
    return MovableClock


@pytest.fixture(scope="session")
def compiled_modules(tmp_path_factory):
    """The contract compiled once for all tests."""
    folder = tmp_path_factory.mktemp("compiled") / "modules"
    Vm(folder, lambda checksum: b"").check(read_contract())
    return folder


@pytest.fixture
def chain_home(tmp_path, compiled_modules):
    """A folder for a new chain that already has the contract's compiled module."""
    home = tmp_path / "chain"
    home.mkdir(mode=0o700)
    shutil.copytree(compiled_modules, home / "modules")
    assert stat.S_IMODE((home / "modules").stat().st_mode) == 0o700
    return home


@pytest.fixture
def chain_settings():
    """What the chain asks for: nothing."""
    return Settings("atlas-test")


@pytest.fixture
def chain(chain_home, chain_settings, clock):
    chain = Chain(chain_home, chain_settings, clock)
    yield chain
    chain.close()


@pytest.fixture
def server(chain):
    server = Server(chain)
    yield server
    server.stop()


@pytest.fixture
def new_key(tmp_path):
    """`new_key("alice")` makes a key, or finds the one of that name."""
    return lambda name: load_or_create_key(tmp_path / "keys" / f"{name}.key", "atlas")


@pytest.fixture
def genesis():
    """What the operator has to begin with."""
    return 10**12


@pytest.fixture
def operator_key(new_key, chain, genesis):
    """A key with coins."""
    key = new_key("operator")
    chain.fund(key.address, genesis)
    return key


@pytest.fixture
def make_network():
    """`make_network(url)` gives the chain before a contract is deployed."""
    return lambda url: Network(chain_id="atlas-test", url=url)


@pytest.fixture
def empty_network(server, make_network):
    return make_network(server.url)


@pytest.fixture
def network(empty_network, operator_key):
    """The chain with the contract: heartbeats hold 60 s, rounds can be challenged for 10 s."""
    address = deploy_contract(empty_network, operator_key, CONTRACT_WASM, heartbeat_seconds=60, challenge_seconds=10)
    return empty_network.model_copy(update={"contract": address})


@pytest.fixture
def open_ledger(network, new_key):
    """`open_ledger("alice")` gives the ledger of that key, closed at the end of the test."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(Ledger(network, new_key(name), inclusion_seconds=5))


@pytest.fixture
def operator(open_ledger):
    return open_ledger("operator")


@pytest.fixture(scope="session")
def localnet_is_built():
    """Skips where there is no wasmd."""
    if not any(REPOSITORY.glob(".tools/wasmd-*/wasmd")):
        pytest.skip("wasmd is not built on this machine: run scripts/localnet build")


@pytest.fixture(scope="session")
def localnets(tmp_path_factory, localnet_is_built):
    """`with localnets() as chain:` runs a wasmd chain; `chain` is what `scripts/localnet start` prints.

    Its blocks follow each other fast, so that the tests' time goes into the waits that they mean.
    """

    @contextmanager
    def run():
        home = tmp_path_factory.mktemp("localnet") / "home"
        environment = os.environ | {"ATLAS_LOCALNET_HOME": str(home), "ATLAS_LOCALNET_PAUSE_MS": "50"}
        started = subprocess.run([LOCALNET, "start"], env=environment, capture_output=True, text=True)
        assert started.returncode == 0, started.stderr
        try:
            yield json.loads(started.stdout)
        finally:
            subprocess.run([LOCALNET, "stop"], env=environment, check=True, capture_output=True)

    return run


@pytest.fixture(scope="module")
def localnet(localnets):
    """A wasmd chain of the module's own: its network, and the key that has its coins."""
    with localnets() as chain:
        preset = find_preset(LOCAL)
        assert chain["chain_id"] == preset.chain_id
        yield preset.network(chain["url"]), load_or_create_key(Path(chain["key"]), preset.prefix)


class Faults:
    """Makes the next broadcasts of a server go wrong: `lost answer`, `lost request`, `doubled`. While `hidden`, it
    finds no transaction by its hash.
    """

    def __init__(self, monkeypatch) -> None:
        self.next = []
        self.taken = []
        self.hidden = False
        broadcast, find = Transactions.BroadcastTx, Transactions.GetTx

        def faulty_broadcast(servicer, request, context):
            fault = self.next.pop(0) if self.next else None
            if fault == "lost request":
                context.abort(grpc.StatusCode.UNAVAILABLE, "the line was cut")
            answer = broadcast(servicer, request, context)
            self.taken.append(hashlib.sha256(request.tx_bytes).hexdigest().upper())
            if fault == "lost answer":
                context.abort(grpc.StatusCode.UNAVAILABLE, "the line was cut")
            return broadcast(servicer, request, context) if fault == "doubled" else answer

        def faulty_find(servicer, request, context):
            if self.hidden:
                context.abort(grpc.StatusCode.NOT_FOUND, f"tx not found: {request.hash}")
            return find(servicer, request, context)

        monkeypatch.setattr(Transactions, "BroadcastTx", faulty_broadcast)
        monkeypatch.setattr(Transactions, "GetTx", faulty_find)


@pytest.fixture
def faults(monkeypatch):
    """Create it before the server starts."""
    return Faults(monkeypatch)


@pytest.fixture(scope="session")
def puppet_wasm():
    """A contract that does what its message says; see puppet.wat."""
    return bytes(wasmtime.wat2wasm(PUPPET.read_text()))


@pytest.fixture
def sign():
    """`sign(key, [message], sequence)` gives a transaction's bytes."""

    def build(key, messages, sequence, *, chain_id="atlas-test", number=None, gas=50_000_000, fee=None, timeout=None):
        transaction = Transaction()
        for message in messages:
            transaction.add_message(message)
        transaction.seal(
            SigningCfg.direct(key.wallet.public_key(), sequence), TxFee(fee or [], gas), timeout_height=timeout
        )
        number = account_number(key.address) if number is None else number
        transaction.sign(key.wallet.signer(), chain_id, number)
        return transaction.complete().tx.SerializeToString()

    return build
