"""Tags a run with the process that executes it, so that a crashed run can be detected."""

import os
import socket

import psutil

PROCESS_TAG = "atlas/process"


def process_tag(run_id: str) -> str:
    """The run, this machine, and this process's id and start time. The start time guards against reused ids."""
    process = psutil.Process(os.getpid())
    return f"{run_id}/{socket.gethostname()}/{process.pid}/{process.create_time()}"


def has_died(run_id: str, tag: str) -> bool:
    """Whether the process that executed a run no longer exists on this machine.

    False if this cannot be determined: the run is on another machine, or it carries the tag of the run it repeats.
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
