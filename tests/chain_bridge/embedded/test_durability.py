"""Whatever happens to its process or its disk, a chain's state is that of a whole prefix of its transactions.

Transaction number n sends the stranger n coins, so that every state tells how many transactions it is made of.
"""

import json
import random
import signal
import subprocess
import sys
import threading

import grpc
import pytest
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import BROADCAST_MODE_SYNC, BroadcastTxRequest
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2_grpc import ServiceStub

from chain_bridge.embedded.chain import Chain, Settings
from chain_bridge.errors import ChainError

SETTINGS = Settings("atlas-test")
# Opens the chain of a folder, takes in the transactions of a file one after another, and says so each time.
WORKER = """
import json, sys
from pathlib import Path
from chain_bridge.embedded.chain import Chain, Settings
chain = Chain(Path(sys.argv[1]), Settings("atlas-test"))
print("open", flush=True)
for data in json.loads(Path(sys.argv[2]).read_text())[int(sys.argv[3]):]:
    assert chain.broadcast(bytes.fromhex(data)).code == 0
    print("done", flush=True)
"""


@pytest.mark.slow
def test_killed_at_any_moment(chain, chain_home, transfers, tmp_path, prefix_of):
    orders = tmp_path / "orders.json"
    orders.write_text(json.dumps([data.hex() for data in transfers(1_000)]))
    chain.close()
    moments, done = random.Random(3), 0
    for _ in range(20):
        command = [sys.executable, "-c", WORKER, str(chain_home), str(orders), str(done)]
        worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert worker.stdout.readline() == "open\n"
        # A count of answers, not a time since the start: on a slow machine, too, the kill comes amid the work.
        answered = moments.randrange(5)
        for _ in range(answered):
            assert worker.stdout.readline() == "done\n"
        killing = threading.Timer(moments.uniform(0, 0.02), worker.kill)
        killing.start()
        answered += sum(line == "done\n" for line in worker.stdout)
        assert worker.wait(timeout=30) == -signal.SIGKILL
        worker.stdout.close()
        survivor = Chain(chain_home, SETTINGS)
        done = prefix_of(survivor, least=done + answered)
        survivor.close()
    assert 20 < done < 1_000, "the process was killed while it worked"


def test_another_process_cannot_hold_the_same_folder(chain, chain_home, transfers, tmp_path):
    orders = tmp_path / "orders.json"
    orders.write_text(json.dumps([data.hex() for data in transfers(1)]))
    command = [sys.executable, "-c", WORKER, str(chain_home), str(orders), "0"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert f"Another process runs the chain in {chain_home}. Use that one" in refused.stderr
    assert chain.stored_block().block.height == 0
    chain.close()
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "open\ndone\n"


def test_a_folder_is_free_once_its_process_is_killed(chain, chain_home, tmp_path):
    orders = tmp_path / "orders.json"
    orders.write_text("[]")
    chain.close()
    hold = WORKER + "\nimport time; time.sleep(600)"
    worker = subprocess.Popen(
        [sys.executable, "-c", hold, str(chain_home), str(orders), "0"], stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout.readline() == "open\n"
    with pytest.raises(ChainError, match="Another process runs the chain"):
        Chain(chain_home, SETTINGS)
    worker.kill()
    worker.wait()
    worker.stdout.close()
    Chain(chain_home, SETTINGS).close()


def test_many_clients_at_once(server, chain, new_key, sign, pay):
    """Eight keys, each sending 10 transactions twice from a thread and a connection of its own."""
    keys = [new_key(f"client-{number}") for number in range(8)]
    for key in keys:
        chain.fund(key.address, 100)
    answers = []

    def work(key):
        with grpc.insecure_channel(server.url.removeprefix("grpc+http://")) as channel:
            send = ServiceStub(channel).BroadcastTx
            for sequence in range(10):
                data = sign(key, [pay(3, sender=key.address)], sequence)
                request = BroadcastTxRequest(tx_bytes=data, mode=BROADCAST_MODE_SYNC)
                answers.append([send(request).tx_response.code for _ in range(2)])

    threads = [threading.Thread(target=work, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [[0, 19]] * 80, "each lands once"
    assert chain.stored_block().block.height == 80
    with chain.reading() as parts:
        assert parts.bank.balance(new_key("stranger").address, "uatl") == 8 * 10 * 3
        assert {parts.bank.balance(key.address, "uatl") for key in keys} == {70}
