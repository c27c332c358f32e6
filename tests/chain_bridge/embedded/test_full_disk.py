"""A disk that is full or fails: the chain says so, keeps the state of a whole prefix, and goes on when it can write."""

import os
import resource
import shutil
import subprocess
from contextlib import contextmanager

import grpc
import pytest
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import BROADCAST_MODE_SYNC, BroadcastTxRequest
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2_grpc import ServiceStub
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgStoreCode

from chain_bridge.embedded.chain import Chain, Settings
from chain_bridge.embedded.errors import StateNotWritten
from chain_bridge.embedded.facade.server import Server

SETTINGS = Settings("atlas-test")


@contextmanager
def file_size_limit(most):
    """No file of this process can grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fails_is_named_and_nothing_is_half_written(chain, chain_home, transfers, prefix_of):
    """Writes beyond a limit fail at whatever byte they have come to."""
    orders = transfers(400)
    assert chain.broadcast(next(orders)).code == 0
    written = (chain_home / "chain.db-wal").stat().st_size
    count, failed = 1, 0
    for step in range(6):
        with file_size_limit(written + 20_000 * (step + 1) + 777 * step):
            while True:
                data = next(orders)
                try:
                    assert chain.broadcast(data).code == 0
                except StateNotWritten as error:
                    assert "Nothing has changed" in str(error)
                    failed += 1
                    break
                count += 1
            assert prefix_of(chain) == count
        assert chain.broadcast(data).code == 0, "it goes on, with the same transaction"
        count += 1
    assert failed == 6
    chain.close()
    again = Chain(chain_home, SETTINGS)
    assert prefix_of(again) == count
    again.close()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own with 3 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system takes more rights than this user has")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_named_over_grpc_and_the_chain_goes_on(small_disk, operator_key, genesis, transfers, prefix_of):
    chain = Chain(small_disk / "chain", SETTINGS)
    chain.fund(operator_key.address, genesis)
    server = Server(chain)
    channel = grpc.insecure_channel(server.url.removeprefix("grpc+http://"))
    send = ServiceStub(channel).BroadcastTx
    orders = transfers(4000)
    assert send(BroadcastTxRequest(tx_bytes=next(orders), mode=BROADCAST_MODE_SYNC)).tx_response.code == 0
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - 200_000))
    count = 1
    with pytest.raises(grpc.RpcError) as caught:
        for data in orders:
            assert send(BroadcastTxRequest(tx_bytes=data, mode=BROADCAST_MODE_SYNC)).tx_response.code == 0
            count += 1
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert (
        "chain.db (the embedded chain: jobs, nodes, leases and balances of the local network) cannot be written: the "
        "disk " in (caught.value.details())
    )
    assert "Nothing has changed." in caught.value.details()
    assert prefix_of(chain) == count
    os.truncate(ballast, 0)
    for late in (data, *transfers(3, first=count + 1)):
        assert send(BroadcastTxRequest(tx_bytes=late, mode=BROADCAST_MODE_SYNC)).tx_response.code == 0, (
            "the disk accepts writes again"
        )
    assert prefix_of(chain) == count + 4
    channel.close()
    server.stop()
    chain.close()


def test_a_full_database_is_named(chain, transfers, prefix_of):
    """The same without a disk: SQLite reports a limit of pages as a full disk."""
    with chain.reading() as parts:
        (pages,) = parts.database.execute("PRAGMA page_count").fetchone()
        parts.database.execute(f"PRAGMA max_page_count = {pages + 3}")
    count = 0
    with pytest.raises(StateNotWritten, match="the disk is full"):
        for data in transfers(200):
            chain.broadcast(data)
            count += 1
    assert prefix_of(chain) == count > 0
    with chain.reading() as parts:
        parts.database.execute("PRAGMA max_page_count = 100000")
    assert chain.broadcast(data).code == 0
    assert prefix_of(chain) == count + 1


def test_a_contract_that_does_not_fit_onto_the_disk(small_disk, operator_key, sign, genesis, puppet_wasm):
    chain = Chain(small_disk / "chain", SETTINGS)
    chain.fund(operator_key.address, genesis)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - 8_192))
    data = sign(operator_key, [MsgStoreCode(sender=operator_key.address, wasm_byte_code=puppet_wasm)], 0)
    with pytest.raises(StateNotWritten, match="No space left on device"):
        chain.broadcast(data)
    assert chain.stored_block().block.height == 0
    os.truncate(ballast, 0)
    assert chain.broadcast(data).code == 0
    assert [path.suffix for path in (small_disk / "chain" / "modules").iterdir()] == [".cwasm"]
    chain.close()
