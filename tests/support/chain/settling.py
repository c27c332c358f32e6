"""A process that settles a round through an outbox, and dies at a given step if it is told to.

Arguments: network as JSON, key file, outbox file, job, round, the two nodes, `together` or `apart`, the number of the
step at which it dies (0: never). Prints how many steps there were.
"""

import os
import signal
import sys
from pathlib import Path

from stamina.instrumentation import LoggingOnRetryHook, set_on_retry_hooks

from chain_bridge.client.keys import load_or_create_key
from chain_bridge.client.messages import Share
from chain_bridge.client.network import Network
from chain_bridge.ledger import Ledger
from chain_bridge.outbox.outbox import Outbox


class Steps:
    """Counts the steps of a delivery."""

    def __init__(self, last: int) -> None:
        self.count = 0
        self.last = last

    def __call__(self, name: str) -> None:
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    set_on_retry_hooks([LoggingOnRetryHook])  # by itself stamina would print retries to stdout, beside the number
    network, key, outbox, *numbers, manner, last = sys.argv[1:]
    job, round_, *nodes = map(int, numbers)
    steps = Steps(int(last))
    with Ledger(
        Network.model_validate_json(network),
        load_or_create_key(Path(key), "atlas"),
        inclusion_seconds=10,
        outbox=Outbox(Path(outbox), step=steps),
    ) as ledger:
        shares = [Share(nodes[0], 2, 6_000), Share(nodes[1], 1, 4_000)]
        ledger.later(f"{job}/{round_}/submit").submit_round(job, round_, bytes(32), 3, "checkpoint", "evidence", shares)
        if manner == "apart":
            ledger.flush(patience_seconds=60)
        ledger.later(f"{job}/{round_}/stake").add_stake(1)
        ledger.later(f"{job}/{round_}/settle").settle(job, round_)
        ledger.flush(patience_seconds=60)
        for step in ("submit", "stake", "settle"):
            ledger.recorded(f"{job}/{round_}/{step}").outcome()
    print(steps.count)


main()
