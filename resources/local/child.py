"""A child process that logs to a file, reports when it is ready, and never outlives its parent."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from atlas.disk.files import naming
from resources.errors import LocalNetworkError

Found = TypeVar("Found")
PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>
POLL_SECONDS = 0.05
TAIL_LINES = 20
TRACEBACK = (" ", "Traceback (", "During handling of ", "The above exception was ")
"""The beginnings of all lines of a traceback but the last, which has the error."""
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class Child:
    """One running process. Its standard output and errors are appended to `log`."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        """Start the process; on Linux the kernel kills it when this process ends, even by a crash."""
        self.name = name
        self.log = log
        with open_log(log) as output:
            self._ready_from = output.tell()
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
                preexec_fn=_die_with_parent(os.getpid()),
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is running."""
        return self._process.poll() is None

    def wait_for_json(self, seconds: float) -> dict[str, Any]:
        """The first JSON mapping that the process prints; raises `LocalNetworkError` with the log's tail.

        A command reports its failure as a mapping with `error`; the error raised then has that text.
        """
        found = self.wait_for(self._printed_mapping, seconds)
        if "error" in found:
            raise LocalNetworkError(f"{self.name} did not start: {found['error']} Its log is {self.log}.")
        return found

    def wait_for(self, probe: Callable[[], Found | None], seconds: float) -> Found:
        """The first result of `probe` that is not None; raises `LocalNetworkError` with the log's tail."""
        deadline = time.monotonic() + seconds
        while True:
            running = self.running
            found = probe()
            if found is not None:
                return found
            if not running:
                raise self._failure(f"ended with exit status {self._process.returncode} before it was ready")
            if time.monotonic() > deadline:
                raise self._failure(f"was not ready within {seconds:g} s")
            time.sleep(POLL_SECONDS)

    def terminate(self) -> None:
        """Ask the process to stop."""
        if self.running:
            self._process.terminate()

    def join(self, seconds: float) -> None:
        """Wait for the process to end after `terminate`; kill it after `seconds`."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _printed_mapping(self) -> dict[str, Any] | None:
        with self.log.open("rb") as log:
            log.seek(self._ready_from)
            for line in log:
                if line.startswith(b"{") and line.endswith(b"\n"):
                    try:
                        return dict(json.loads(line))
                    except ValueError:
                        continue  # a log line that merely looks like it
        return None

    def _failure(self, what: str) -> LocalNetworkError:
        return LocalNetworkError(f"{self.name} {what}. The end of {self.log}:\n{tail(self.log, self._ready_from)}")


def open_log(path: Path) -> BinaryIO:
    """Open a log to append to, and create its folder; raises `LocalNetworkError` that names the log."""
    with naming(path, LocalNetworkError):
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")


def tail(log: Path, start: int = 0) -> str:
    """The last lines of a log, from byte `start` on, without the stacks of tracebacks."""
    if not log.exists():
        return "(nothing was written)"
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode("utf-8", "replace").splitlines()
    told = [line for line in lines if line and not line.startswith(TRACEBACK)]
    return "\n".join(told[-TAIL_LINES:]) or "(nothing was written)"


def last_line(log: Path) -> str:
    """The last line of a log that is not blank; for a failed command, this is its error."""
    return next((line for line in reversed(tail(log).splitlines()) if line.strip()), "")


def _die_with_parent(parent: int) -> Callable[[], None] | None:
    libc = _libc
    if libc is None:
        return None

    def in_child() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the prctl call
            os._exit(1)

    return in_child
