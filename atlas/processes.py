"""Whether a recorded process still runs: its id and its start time, because the system uses ids again."""

import os
from typing import NamedTuple

import psutil


class ProcessRef(NamedTuple):
    """A process of this machine."""

    pid: int
    started: float
    """Its start in seconds since 1970, as the kernel reports it."""

    @classmethod
    def of_this(cls) -> "ProcessRef":
        """The process that asks."""
        return cls(os.getpid(), psutil.Process().create_time())

    @property
    def runs(self) -> bool:
        """Whether the process still runs; a process that ended and was not yet waited for does not."""
        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.started and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
