"""Logging to a file while a command uses the terminal."""

import logging
from pathlib import Path

from atlas.disk.files import naming


def log_to_file(path: Path) -> None:
    """Write all log records of level INFO and above to a file, and none to the terminal; raises `DiskError`."""
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        logging.basicConfig(
            filename=path, encoding="utf-8", level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s"
        )
