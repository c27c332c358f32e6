"""Users of the local network notice that its supervisor died."""

import subprocess
import time
from pathlib import Path

import psutil
import pytest

from resources.errors import LocalNetworkError
from resources.local import network_watch
from resources.local.network_file import LocalNetwork
from resources.local.network_watch import NetworkWatch


def eventually(condition, seconds: float = 30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.01)


@pytest.fixture
def supervisors():
    """`supervisors(port)` is a network on that port, and the process that keeps it."""
    started = []

    def start(port: int) -> tuple[LocalNetwork, subprocess.Popen]:
        process = subprocess.Popen(["sleep", "600"])
        started.append(process)
        chain = {"chain_id": "c", "url": f"grpc+http://127.0.0.1:{port}", "denom": "u", "prefix": "atlas"}
        network = LocalNetwork(
            network=chain,
            bus="nats://127.0.0.1:1",
            content=Path("/content"),
            pid=process.pid,
            started=psutil.Process(process.pid).create_time(),
        )
        return network, process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("port", "word"), [(1, "at the same addresses"), (2, "at other addresses")])
def test_a_dead_supervisor_is_told_and_replaced(supervisors, port, word):
    network, process = supervisors(1)
    told, started = [], []

    def revive():
        started.append(supervisors(port)[0])
        return started[-1]

    with NetworkWatch(told.append).over(network, revive, look_seconds=0.01):
        time.sleep(0.1)
        assert told == []
        process.kill()
        process.wait()
        eventually(lambda: len(told) == 2)
        psutil.Process(started[0].pid).kill()
        eventually(lambda: len(told) == 4)
    assert f"process {network.pid}) ended unexpectedly" in told[0]
    assert word in told[1]
    assert f"process {started[0].pid}) ended unexpectedly" in told[2]
    assert len(started) == 2


def test_a_network_that_does_not_start_again_is_given_up_with_the_reason(supervisors, monkeypatch):
    monkeypatch.setattr(network_watch, "FIRST_PAUSE_SECONDS", 0.001)
    network, process = supervisors(1)
    told, tried = [], []

    def revive():
        tried.append(1)
        raise LocalNetworkError("chain.db is damaged.")

    process.kill()
    process.wait()
    watch = NetworkWatch(told.append)
    with watch.over(network, revive, look_seconds=0.01):
        eventually(lambda: watch.failure is not None)
    assert len(tried) == network_watch.TRIES
    assert told[-1] == "The local network could not be restarted: chain.db is damaged."


def test_the_end_of_its_user_ends_a_watch_that_waits(supervisors):
    network, process = supervisors(1)
    process.kill()
    process.wait()

    def revive():
        raise LocalNetworkError("no")

    told = []
    watch = NetworkWatch(told.append)
    with watch.over(network, revive, look_seconds=0.01):
        eventually(lambda: told)
    assert watch.failure is None
