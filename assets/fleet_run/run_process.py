"""Tags a run with the process that executes it, so that a crashed run can be detected."""

import socket

from atlas.processes import ProcessRef

PROCESS_TAG = "atlas/process"


def process_tag(run_id: str) -> str:
    """The run, this machine, and this process's id and start time. The start time guards against reused ids."""
    process = ProcessRef.of_this()
    return f"{run_id}/{socket.gethostname()}/{process.pid}/{process.started}"


def has_died(run_id: str, tag: str) -> bool:
    """Whether the process that executed a run no longer exists on this machine.

    False if this cannot be determined: the run is on another machine, or it carries the tag of the run it repeats.
    """
    run, _, place = tag.partition("/")
    machine, _, process_id = place.partition("/")
    pid, _, started = process_id.partition("/")
    if (run, machine) != (run_id, socket.gethostname()):
        return False
    try:
        process = ProcessRef(int(pid), float(started))
    except ValueError:
        return False
    return not process.runs
