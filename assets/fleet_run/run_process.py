"""Which process executes a run: a tag by which a run can be told dead, since nothing else watches it."""

import os
import socket

import psutil

PROCESS_TAG = "atlas/process"


def process_tag(run_id: str) -> str:
    """The run, this machine, this process's id, and its start, which guards against ids that are used again."""
    process = psutil.Process(os.getpid())
    return f"{run_id}/{socket.gethostname()}/{process.pid}/{process.create_time()}"


def has_died(run_id: str, tag: str) -> bool:
    """Whether the process that executed a run is gone from this machine.

    False for whatever cannot be told: a run elsewhere, or one that bears the tag of the run that it repeats.
    """
    run, _, place = tag.partition("/")
    machine, _, process_id = place.partition("/")
    pid, _, started = process_id.partition("/")
    if (run, machine) != (run_id, socket.gethostname()) or not pid.isdigit():
        return False
    try:
        process = psutil.Process(int(pid))
        return str(process.create_time()) != started or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
