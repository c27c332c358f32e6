"""The folder in which Dagster keeps runs and events: `$DAGSTER_HOME`, by default inside `$ATLAS_HOME`.

`python -m atlas_pipelines.dagster_home` makes it ready and prints its path.
"""

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

from atlas.home import AtlasHome

TEMPLATE = Path(__file__).with_name("dagster.yaml")


def prepare_dagster_home(home: AtlasHome, environment: MutableMapping[str, str]) -> Path:
    """Make the folder and its `dagster.yaml` where they are missing, and set `DAGSTER_HOME` in `environment`."""
    folder = Path(environment.get("DAGSTER_HOME") or home.dagster).expanduser().absolute()
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "dagster.yaml"
    if not settings.exists():
        new = folder / f".dagster.yaml.{os.getpid()}"
        new.write_bytes(TEMPLATE.read_bytes())
        new.replace(settings)
    environment["DAGSTER_HOME"] = str(folder)
    return folder


if __name__ == "__main__":
    sys.stdout.write(f"{prepare_dagster_home(AtlasHome.from_environment(), os.environ)}\n")
