"""Processes of this machine: whether a recorded one still runs, its command, and its end.

A process is recorded as its id and its start time, because the system uses ids again. `psutil` is imported where it is
used: it is slow, and every Dagster process loads this module.
"""

import os
from typing import NamedTuple


class ProcessRef(NamedTuple):
    """A process of this machine."""

    pid: int
    started: float
    """Its start in seconds since 1970, as the kernel reports it."""

    @classmethod
    def of_this(cls) -> "ProcessRef":
        """The process that asks."""
        import psutil

        return cls(os.getpid(), psutil.Process().create_time())

    @property
    def runs(self) -> bool:
        """Whether the process still runs; a process that ended and was not yet waited for does not."""
        import psutil

        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.started and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def command_line(pid: int) -> list[str]:
    """The command of a process and its arguments; [] if it no longer runs."""
    import psutil

    try:
        return psutil.Process(pid).cmdline()
    except psutil.NoSuchProcess:
        return []


def stop_process(pid: int, seconds: float) -> bool:
    """Terminate a process if it runs, and kill it if it does not end within `seconds`; False if it was killed."""
    import psutil

    try:
        process = psutil.Process(pid)
        process.terminate()
        process.wait(seconds)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        process.kill()
        return False
    return True
