"""Check the embedded chain's file against other files: a copy without its write-ahead log lacks the newest blocks."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from atlas.disk.sqlite_check import read_rows
from atlas.home import AtlasHome
from atlas.ids import JobId
from atlas_pipelines.doctor.finding import Finding
from resources.local.parts import CHAIN_ID, PREFIX


@dataclass(frozen=True)
class Sighting:
    """A block of the chain that another file has recorded."""

    file: Path
    height: int
    block: str


def check_chain_file(home: AtlasHome) -> list[Finding]:
    """Compare the chain's blocks with the newest ones recorded in the outboxes and in the copies of the chain."""
    chain = home.chain / "chain.db"
    sightings = _sightings(home)
    if not sightings:
        return []
    if not chain.exists():
        newest = max(sightings, key=lambda one: one.height)
        return [
            Finding(
                "chain file",
                "warning",
                f"{chain} is missing, although {newest.file} has recorded its block {newest.height}. Restore "
                f"{chain.parent} from a backup if you have one; otherwise a new chain begins, without the old jobs, "
                "nodes and credits.",
            )
        ]
    try:
        ((height,),) = read_rows(chain, "SELECT MAX(height) FROM blocks")
        return [finding for one in sightings if (finding := compare(chain, int(str(height)), one, _block(chain, one)))]
    except (sqlite3.Error, OSError):
        return []  # a damaged file has a finding of its own


def compare(chain: Path, height: int, seen: Sighting, block: str | None) -> Finding | None:
    """A finding if the chain differs from the one in the sighting.

    The chain ends at `height` and has `block` at the sighting's height.
    """
    if height < seen.height:
        return Finding(
            "chain file",
            "failed",
            f"{chain} ends at block {height}, but {seen.file} has recorded block {seen.height}: the newest blocks "
            f"are missing. It may have been copied without {chain.name}-wal, or be an older backup: restore it "
            "together with that file. If it was reset on purpose, run `atlas chain status` once: the outbox then "
            "starts again.",
        )
    if block is not None and block != seen.block:
        return Finding(
            "chain file",
            "failed",
            f"{chain} is another chain than the one that {seen.file} was used with: block {seen.height} differs. "
            "Restore both from the same backup, or run `atlas chain status` once to start again with this one.",
        )
    return None


def check_jobs(home: AtlasHome, contract: str, on_chain: set[JobId]) -> list[Finding]:
    """Compare the coordinator's jobs on a contract with `on_chain`, the ids of the operator's jobs on the contract."""
    try:
        rows = read_rows(home.jobs_database, "SELECT contract, job_id FROM jobs") if home.jobs_database.exists() else []
    except (sqlite3.Error, OSError):
        return []  # a damaged file has a finding of its own
    here = {int(str(job)) for where, job in rows if where == contract}
    if missing := sorted(here - on_chain):
        text = (
            f"{home.jobs_database} has job(s) {_listed(missing)} that the contract {contract} does not have: the "
            "chain was reset or lost its newest blocks. Restore the chain, or give the jobs other names to run them "
            "again."
        )
        return [Finding("jobs", "failed", text)]
    if unknown := sorted(on_chain - here):
        text = (
            f"The contract has job(s) {_listed(unknown)} of this operator that {home.jobs_database} does not have: it "
            "lost its newest records, or they were opened from another machine. If it was copied without "
            f"{home.jobs_database.name}-wal, restore it together with that file."
        )
        return [Finding("jobs", "warning", text)]
    return []


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:10])) + (f" and {len(numbers) - 10} more" if len(numbers) > 10 else "")


def _block(chain: Path, seen: Sighting) -> str | None:
    rows = read_rows(chain, f"SELECT hex(hash) FROM blocks WHERE height = {seen.height}")  # noqa: S608 - a whole number
    return str(rows[0][0]).lower() if rows else None


def _sightings(home: AtlasHome) -> list[Sighting]:
    """The newest blocks recorded in the outboxes and in the copies of the local chain."""
    name = f"outbox/{CHAIN_ID}-{PREFIX}1*.db"
    outboxes = [*home.root.glob(name), *home.nodes.glob(f"*/{name}")]
    found = []
    for path in sorted(outboxes):
        for (value,) in _rows(path, "SELECT value FROM facts WHERE name = 'anchor'"):
            height, block = json.loads(str(value))
            found.append(Sighting(path, int(height), str(block).lower()))
    for path in sorted(home.root.glob(f"follower/{CHAIN_ID}.*.db")):
        for height, block in _rows(path, "SELECT height, block FROM cursor"):
            found.append(Sighting(path, int(str(height)), str(block).lower()))
    return [one for one in found if one.height > 0]


def _rows(path: Path, query: str) -> list[tuple[object, ...]]:
    try:
        return read_rows(path, query)
    except (sqlite3.Error, OSError):
        return []  # a damaged file has a finding of its own
