"""Measure the chain: executions, queries and settled shards per second, and gas, estimated and measured.

`python benchmarks/chain.py [--json]` runs the same work through the same client on the embedded chain, in a separate
process, and on a wasmd node of `scripts/localnet`, if that is built. The embedded chain's gas is the estimate, wasmd's
the measurement. Takes under a minute; speeds vary with the machine's load.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from cosmpy.protos.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from cosmpy.protos.cosmos.base.v1beta1.coin_pb2 import Coin
from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).parent.parent
sys.path.insert(0, str(REPOSITORY))

from chain_bridge.client.connection import Connection
from chain_bridge.client.keys import Key, load_or_create_key
from chain_bridge.client.messages import Assignment, Share, SlotAttempt, Tx
from chain_bridge.client.network import Network
from chain_bridge.client.sender import Sender
from chain_bridge.errors import ContractRefused
from chain_bridge.ledger import Ledger
from chain_bridge.networks.deploy import CONTRACT_WASM, deploy_contract
from chain_bridge.outbox.outbox import Outbox

NODES, SHARDS, BATCH = 50, 1000, 200
PER_NODE = SHARDS // NODES
REWARD = 1000
CHALLENGE_SECONDS = 1
POCKET = 10**8
GENESIS = 10**15
CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
SINGLE_EXECUTES, SHARED_EXECUTES, QUERIES = 40, 5, 1000
THREADS = 16


@contextmanager
def embedded(folder: Path) -> Iterator[tuple[Network, Key]]:
    """An embedded chain in a separate process, and a funded key."""
    key = load_or_create_key(folder / "keys" / "operator.key", "wasm")
    network = Network(chain_id="atlas-bench", url="grpc+http://unknown", prefix="wasm", gas_price=0.025)
    command = [sys.executable, "-m", "chain_bridge.embedded", "--home", folder / "chain", "--gas-price", "0.025"]
    command += ["--chain-id", network.chain_id, "--prefix", "wasm", "--genesis", f"{key.address}={GENESIS}"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield network.model_copy(update={"url": json.loads(process.stdout.readline())["url"]}), key
        finally:
            process.terminate()


@contextmanager
def wasmd(folder: Path) -> Iterator[tuple[Network, Key]]:
    """A chain of `scripts/localnet`, and its funded key."""
    environment = os.environ | {"ATLAS_LOCALNET_HOME": str(folder / "localnet")}
    script = REPOSITORY / "scripts" / "localnet"
    started = subprocess.run([script, "start"], env=environment, check=True, stdout=subprocess.PIPE, text=True)
    chain = json.loads(started.stdout)
    try:
        network = Network(**{name: chain[name] for name in ("chain_id", "url", "denom", "prefix", "gas_price")})
        yield network, load_or_create_key(Path(chain["key"]), network.prefix)
    finally:
        subprocess.run([script, "stop"], env=environment, check=True, stderr=subprocess.DEVNULL)


def deploy(network: Network, key: Key) -> Network:
    """Deploy the contract, and return the network with its address."""
    address = deploy_contract(network, key, CONTRACT_WASM, heartbeat_seconds=3600, challenge_seconds=CHALLENGE_SECONDS)
    return network.model_copy(update={"contract": address})


def fund(network: Network, key: Key, addresses: list[str]) -> None:
    """Give addresses coins for their fees."""
    coins = [Coin(denom=network.denom, amount=str(POCKET))]
    connection = Connection(network, timeout_seconds=60)
    sends = [MsgSend(from_address=key.address, to_address=address, amount=coins) for address in addresses]
    Sender(connection, key, inclusion_seconds=60).send(sends)
    connection.close()


def open_fleet(network: Network, key: Key, folder: Path, opened: ExitStack) -> list[Ledger]:
    """Ledgers of 50 funded, registered nodes, by node id."""
    keys = [load_or_create_key(folder / "fleet" / f"{number}.key", network.prefix) for number in range(NODES)]
    fund(network, key, [key.address for key in keys])
    ledgers = [opened.enter_context(Ledger(network, key)) for key in keys]
    with ThreadPoolExecutor(THREADS) as threads:
        ids = list(threads.map(lambda ledger: ledger.register_node("compute", PER_NODE, CID), ledgers))
    return [ledger for _, ledger in sorted(zip(ids, ledgers, strict=True), key=lambda pair: pair[0])]


def open_operator(network: Network, key: Key, folder: Path) -> Ledger:
    """The coordinator's ledger, with an outbox."""
    return Ledger(network, key, outbox=Outbox(folder / "outbox.db"))


def settle_shards(operator: Ledger, fleet: list[Ledger]) -> list[tuple[str, int]]:
    """Assign, complete, settle and withdraw 1,000 shards over 50 nodes; return (messages, gas) per transaction.

    The operator's outbox puts several messages into one transaction; each node sends its messages separately.
    """
    escrow = REWARD * (SHARDS + 1)
    job = operator.create_job("bench", CID, CID, SHARDS, 1, REWARD, lease_seconds=3600, escrow=escrow)
    batches = [range(first, first + BATCH) for first in range(0, SHARDS, BATCH)]
    for slots in batches:
        items = [Assignment(slot, 1 + slot // PER_NODE, 1) for slot in slots]
        operator.later(f"assign {slots.start}").assign_batch(job, 1, CID, items)
    operator.flush()
    for slots in batches:
        done = [SlotAttempt(slot, 1) for slot in slots]
        operator.later(f"complete {slots.start}").complete_batch(job, 1, done)
    operator.flush()
    shares = [Share(node, PER_NODE, 10_000 // NODES) for node in range(1, NODES + 1)]
    operator.later("submit").submit_round(job, 1, b"\x01" * 32, SHARDS, CID, CID, shares)
    operator.flush()
    keys = [f"{name} {slots.start}" for name in ("assign", "complete") for slots in batches]
    entries = [operator.recorded(key) for key in [*keys, "submit"]]
    used = _by_transaction([(entry.name, entry.outcome()) for entry in entries if entry is not None])
    used.append(("settle", _settle(operator, job).gas_used))
    with ThreadPoolExecutor(THREADS) as threads:
        used += [("withdraw", paid.gas_used) for paid in threads.map(lambda ledger: ledger.withdraw(), fleet)]
    return used


def _by_transaction(outcomes: list[tuple[str, Tx]]) -> list[tuple[str, int]]:
    """(messages, gas) of each transaction, from (message, outcome) of each message."""
    used = []
    for _, group in groupby(outcomes, key=lambda outcome: outcome[1].hash):
        messages = list(group)
        counts = Counter(name for name, _ in messages)
        text = ", ".join(name if count == 1 else f"{count} {name}" for name, count in counts.items())
        used.append((text, messages[0][1].gas_used))
    return used


def _settle(operator: Ledger, job: int) -> Tx:
    """Settle as soon as the challenge window has passed."""
    deadline = time.monotonic() + 20 * CHALLENGE_SECONDS
    while True:
        try:
            return operator.settle(job, 1)
        except ContractRefused:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def measure(network: Network, key: Key, folder: Path) -> dict[str, Any]:
    """All figures of one chain."""
    network = deploy(network, key)
    with ExitStack() as opened:
        operator = opened.enter_context(open_operator(network, key, folder))
        fleet = open_fleet(network, key, folder, opened)

        began = time.monotonic()
        for _ in range(SINGLE_EXECUTES):
            fleet[0].heartbeat()
        single = SINGLE_EXECUTES / (time.monotonic() - began)

        began = time.monotonic()
        with ThreadPoolExecutor(NODES) as threads:
            beats = list(threads.map(lambda ledger: [ledger.heartbeat() for _ in range(SHARED_EXECUTES)], fleet))
        shared = NODES * SHARED_EXECUTES / (time.monotonic() - began)

        began = time.monotonic()
        for number in range(QUERIES):
            operator.node(1 + number % NODES)
        queries = QUERIES / (time.monotonic() - began)

        began = time.monotonic()
        used = settle_shards(operator, fleet)
        shards = SHARDS / (time.monotonic() - began)

    gas = defaultdict(list)
    for message, amount in [*used, ("heartbeat", beats[-1][-1].gas_used)]:
        gas[message].append(amount)
    return {
        "executes_per_second_one_key": round(single, 1),
        "executes_per_second_50_keys": round(shared, 1),
        "queries_per_second": round(queries, 1),
        "settled_shards_per_second": round(shards, 1),
        "transactions": len(used),
        "gas": sum(amount for _, amount in used),
        "gas_per_transaction": {message: sum(amounts) // len(amounts) for message, amounts in gas.items()},
    }


def show(results: dict[str, dict[str, Any]]) -> None:
    """Print the measurements as two tables."""
    speeds = Table("", *results, title="Chain")
    for name in next(iter(results.values())):
        if name != "gas_per_transaction":
            speeds.add_row(name.replace("_", " "), *(f"{result[name]:,}" for result in results.values()))
    gas = Table("gas per transaction", *results, title="Gas")
    for message in next(iter(results.values()))["gas_per_transaction"]:
        gas.add_row(message, *(f"{result['gas_per_transaction'][message]:,}" for result in results.values()))
    console = Console()
    console.print(speeds, gas)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    chains = [embedded, wasmd]
    if not any(REPOSITORY.glob(".tools/wasmd-*/wasmd")):
        print("Not measured on wasmd, which is not built. Build it with: scripts/localnet build", file=sys.stderr)
        chains = [embedded]
    results = {}
    for chain in chains:
        with tempfile.TemporaryDirectory() as folder, chain(Path(folder)) as (network, key):
            results[chain.__name__] = measure(network, key, Path(folder))
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        show(results)


if __name__ == "__main__":
    main()
