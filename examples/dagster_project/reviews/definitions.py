"""All definitions in the folder `defs`."""

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """The project's assets and those of the component in `defs/reviews_model`."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
