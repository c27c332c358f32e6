"""The coordinator's SQLite file, which its records share."""

from pathlib import Path

from atlas.disk.sqlite_file import SqliteFile
from resources.errors import CoordinatorError


def coordinator_file(path: Path) -> SqliteFile:
    """The file at `path`; raises `CoordinatorError` when it cannot be used."""
    return SqliteFile(
        path,
        holds="the coordinator's record of its jobs",
        remedy=f"Restore {path.name} from a backup, together with its -wal file. Without a backup, move {path.name}, "
        f"{path.name}-wal and {path.name}-shm away: a new file is created, and jobs in progress cannot be "
        "settled from this machine. Nothing changes on chain or in the content store.",
        error=CoordinatorError,
    )
