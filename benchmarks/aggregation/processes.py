"""Run a driver in a new process, on one thread unless the point sets another number."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.aggregation.environments import REPOSITORY, python_of

DRIVERS = Path(__file__).parent / "drivers"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONPATH")


class DriverFailed(RuntimeError):
    """A driver ended with an error; the message has the end of its stderr."""


def run_driver(driver: str, environment: str, arguments: Mapping[str, Any], threads: int = 1) -> dict[str, Any]:
    """Run `drivers/DRIVER.py` with JSON arguments, and return the JSON in the last line of its output.

    Raises `DriverFailed` with the end of its stderr.
    """
    variables = {name: value for name, value in os.environ.items() if name not in UNSET}
    variables |= {name: str(threads) for name in THREADS} | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        [python_of(environment), DRIVERS / f"{driver}.py", json.dumps(arguments)],
        env=variables,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DriverFailed(f"{driver} {arguments} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer
