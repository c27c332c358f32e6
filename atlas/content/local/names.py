"""A record of each stored folder's entries, so that errors can name damaged files. Only the CID decides validity."""

import json
from pathlib import Path

from atlas.ids import Cid

Names = dict[str, Cid]
"""The CID of a folder and of everything in it, by relative path; the folder itself is `.`."""


def relative_to(folder: Path, cids: dict[Path, Cid]) -> Names:
    """The same CIDs by their paths within `folder`."""
    return {path.relative_to(folder).as_posix(): cid for path, cid in cids.items()}


def write_names(target: Path, names: Names) -> None:
    """Write the record that `changed_names` reads. It is not synced: without it, errors only lack file names."""
    target.write_text(json.dumps(names))


def changed_names(remembered: Path, found: Names) -> list[str]:
    """The files that were changed, added or removed since the record was written; empty when there is no record."""
    try:
        before = json.loads(remembered.read_text())
    except (OSError, ValueError):
        return []
    different = {name for name in before.keys() | found.keys() if before.get(name) != found.get(name)}
    # A folder differs because one of its entries differs, so report only the entry.
    explained = {parent.as_posix() for name in different for parent in Path(name).parents}
    return sorted(different - explained)
