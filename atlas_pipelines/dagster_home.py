"""The folder in which Dagster keeps runs and events: `$DAGSTER_HOME`, by default inside `$ATLAS_HOME`.

`python -m atlas_pipelines.dagster_home` prepares it and prints its path.
"""

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

from atlas.disk.files import write_file
from atlas.disk.sqlite_check import refuse_unreadable
from atlas.disk.sqlite_file import SqliteFile
from atlas.home import AtlasHome

COMMON_FILES = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")
TEMPLATE = Path(__file__).with_name("dagster.yaml")


def prepare_dagster_home(home: AtlasHome, environment: MutableMapping[str, str]) -> Path:
    """Create the folder and its `dagster.yaml` if they are missing, and set `DAGSTER_HOME` in `environment`.

    Raises `DiskError` when the folder cannot be written, or a SQLite file that all runs need is damaged.
    """
    folder = Path(environment.get("DAGSTER_HOME") or home.dagster).expanduser().absolute()
    settings = folder / "dagster.yaml"
    if not settings.exists():
        write_file(settings, TEMPLATE.read_bytes())
    for path in (folder / name for name in COMMON_FILES):
        if path.exists() and path.stat().st_size:  # Dagster creates its tables in an empty file
            refuse_unreadable(dagster_file(path))
    environment["DAGSTER_HOME"] = str(folder)
    return folder


def dagster_file(path: Path) -> SqliteFile:
    """One of Dagster's SQLite files."""
    return SqliteFile(
        path,
        holds="Dagster's history",
        remedy=f"Move {path.name} and the files beside it that begin with its name away: Dagster creates a new one. "
        "The history in its pages is lost; jobs and results are not, and `atlas run` continues with them.",
    )


if __name__ == "__main__":
    sys.stdout.write(f"{prepare_dagster_home(AtlasHome.from_environment(), os.environ)}\n")
