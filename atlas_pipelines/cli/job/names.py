"""The names of the jobs that were opened here, for shell completion: fast, without locks and without errors."""

import sqlite3
from contextlib import closing

from atlas.home import AtlasHome


def job_names() -> list[str]:
    """The names, sorted; an empty list while the database of jobs is missing, locked or damaged."""
    path = AtlasHome.from_environment().jobs_database
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0.2)) as database:
            return [str(name) for (name,) in database.execute("SELECT name FROM jobs ORDER BY name")]
    except sqlite3.Error:
        return []
