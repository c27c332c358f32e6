"""The embedded chain, and a wasmd node of scripts/localnet where it is built, with the same cast and code on both."""

import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

import pytest

from chain_bridge.embedded.chain import Chain, Settings
from chain_bridge.embedded.facade.server import Server
from tests.support.conformance.both_chains import CHAIN_ID, DENOM, GAS_PRICE, GENESIS, PREFIX, Side, make_keys, prepare
from tests.support.conformance.raw_client import RawClient

OWNER_WORDS = " ".join(["abandon"] * 23 + ["art"])
GAS: dict[str, list[tuple[int, int]]] = defaultdict(list)
LINES: list[str] = []


def pytest_terminal_summary(terminalreporter):
    """What was measured on wasmd, beside the estimate."""
    for line in LINES:
        terminalreporter.write_line(line)
    for message, pairs in sorted(GAS.items()):
        measured, estimated = (sum(column) // len(pairs) for column in zip(*pairs, strict=True))
        text = f"{message:20} {len(pairs):3} x  measured {measured:>9,}  estimated {estimated:>9,}"
        terminalreporter.write_line(f"{text}  {estimated / measured - 1:+.1%}")


class FollowingClock:
    """Unix seconds that pass only when told to, and never back."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += seconds

    def follow(self, seconds):
        self.now = max(self.now, float(seconds))


@pytest.fixture(scope="session")
def gas_table():
    """Where (measured, estimated) gas is noted per message; printed at the end."""
    return GAS


@pytest.fixture(scope="session")
def report():
    """`report(line)` prints a line at the end."""
    return LINES.append


@pytest.fixture(scope="session")
def embedded_sides(tmp_path_factory):
    """`with embedded_sides(keys, now) as side:` runs an embedded chain whose clock stands at `now`."""

    @contextmanager
    def run(keys, now):
        clock = FollowingClock(now)
        chain = Chain(tmp_path_factory.mktemp("embedded"), Settings(CHAIN_ID, PREFIX, DENOM, GAS_PRICE), clock)
        chain.fund(keys["owner"].address, GENESIS)
        server = Server(chain)
        side = Side(RawClient(server.url, CHAIN_ID, DENOM), clock.advance, clock.follow)
        prepare(side, keys)
        yield side
        side.client.close()
        server.stop()
        chain.close()

    return run


@pytest.fixture(scope="session")
def alone(embedded_sides):
    """An embedded chain and its keys."""
    keys = make_keys(OWNER_WORDS)
    with embedded_sides(keys, 1_800_000_000.0) as side:
        yield side, keys


@pytest.fixture(scope="module")  # a chain works all the time, so none outlives the tests that need it
def pair(localnets, embedded_sides):
    """A wasmd chain, an embedded one with the same history, and their keys."""
    with localnets() as chain:
        keys = make_keys(Path(chain["key"]).read_text())
        real = Side(RawClient(chain["url"], chain["chain_id"], chain["denom"]), time.sleep)
        prepare(real, keys)
        with embedded_sides(keys, float(real.client.block_seconds())) as ours:
            yield real, ours, keys
        real.client.close()
