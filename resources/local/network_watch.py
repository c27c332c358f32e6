"""Detects that the local network's supervisor died, and starts the network again."""

import logging
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from resources.errors import LocalNetworkError
from resources.local.network_file import LocalNetwork

log = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
TRIES = 4
FIRST_PAUSE_SECONDS = 2.0


class NetworkWatch:
    """Watches one local network for one of its users, in a thread.

    Chain, message server and agents die with their supervisor. A new one uses the same ports, so that a run under way
    continues. After `TRIES` failed starts the watch ends, with the last error in `failure`.
    """

    def __init__(self, notice: Callable[[str], None] = log.warning, step: Callable[[str], None] = log.info) -> None:
        """The thread calls `notice` with sentences for a person, and `step` with each part that is started."""
        self.failure: LocalNetworkError | None = None
        self.notice = notice
        self.step = step
        self._stop = threading.Event()

    @contextmanager
    def over(
        self, network: LocalNetwork, revive: Callable[[], LocalNetwork], look_seconds: float = LOOK_SECONDS
    ) -> Iterator[None]:
        """Watch while the block runs. `revive` returns the running network, and starts one if there is none."""
        thread = threading.Thread(target=self._watch, args=(network, revive, look_seconds), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _watch(self, network: LocalNetwork, revive: Callable[[], LocalNetwork], look_seconds: float) -> None:
        while not self._stop.wait(look_seconds):
            if network.alive:
                continue
            found = self._revived(network, revive)
            if found is None:
                return
            if found.network.url != network.network.url or found.bus != network.bus:
                self.notice(
                    f"The local network answers at other addresses than before (chain {found.network.url}, messages "
                    f"{found.bus}), because other programs took its ports. Stop what uses the old addresses and run "
                    "it again."
                )
            else:
                self.notice("The local network runs again at the same addresses; running tasks continue.")
            network = found

    def _revived(self, network: LocalNetwork, revive: Callable[[], LocalNetwork]) -> LocalNetwork | None:
        """The network after a restart; None when the watch ends."""
        self.notice(
            f"The supervisor of the local network (process {network.pid}) ended unexpectedly; the network is restarted."
        )
        for attempt in range(1, TRIES + 1):
            try:
                return revive()
            except LocalNetworkError as error:
                log.warning("restart %d of %d of the local network failed: %s", attempt, TRIES, error)
                if attempt == TRIES:
                    self.failure = error
                    self.notice(f"The local network could not be restarted: {error}")
            if self._stop.wait(FIRST_PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1)):  # noqa: S311 - jitter
                break
        return None
