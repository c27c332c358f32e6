"""Reload a web server's definitions when the schedules of jobs have changed. The daemon reloads its own each minute."""

import json
import logging
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPException

from resources.errors import CoordinatorError
from resources.jobs.schedules import JobSchedules

log = logging.getLogger(__name__)

RELOAD = "mutation { reloadWorkspace { __typename ... on PythonError { message } } }"
LOOK_SECONDS, ANSWER_SECONDS = 5.0, 60.0


class ScheduleWatch:
    """Compares the schedules with those at the last reload, every five seconds at most."""

    def __init__(
        self, kept: JobSchedules, reload: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kept, self._reload, self._clock = kept, reload, clock
        self._loaded = kept.all()
        self._looked = clock()

    def look(self) -> None:
        """Reload if a schedule was added, changed or removed; a failed reload is logged, and repeated next time."""
        if self._clock() - self._looked < LOOK_SECONDS:
            return
        self._looked = self._clock()
        try:
            now = self._kept.all()
            if now != self._loaded:
                self._reload()
                self._loaded = now
        except (CoordinatorError, OSError, HTTPException, ValueError) as error:
            log.warning("could not reload the definitions (another attempt follows): %s", error)


def reload_definitions(url: str, token: str | None = None) -> None:
    """Make the web server at `url` import its definitions again; `token` is the operator's, if it needs one.

    Raises `OSError` or `HTTPException` when it does not answer, and `ValueError` when it refuses.
    """
    request = urllib.request.Request(  # noqa: S310 - always http
        f"{url}/graphql",
        data=json.dumps({"query": RELOAD}).encode(),
        headers={"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})},
    )
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - always http
        told = json.load(answer)
    outcome = (told.get("data") or {}).get("reloadWorkspace") or {}
    if outcome.get("__typename") != "Workspace":
        raise ValueError(f"expected a Workspace from the web server, found {json.dumps(told)[:300]}")
