"""Residuals of compression: kept on the node that trained a shard, and added to its next update of that shard.

Without this error feedback the numbers that top-k leaves out would be lost (arXiv:1809.07599).
"""

import logging
import shutil
import threading
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from atlas.content.format.cid import cid_of_file
from atlas.disk.files import new_file
from atlas.ids import Cid
from atlas.spec.job import TaskSpec
from node_agent.home.json_file import JsonFile

log = logging.getLogger(__name__)
INDEX = "index.json"


class StoredResidual(BaseModel):
    """One entry of the index: the residual of a round, and when it was stored, in unix seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    place: str
    round: int
    cid: Cid
    at: float


class _Index(JsonFile):
    kept: list[StoredResidual]


def residual_place(task: TaskSpec) -> str:
    """The key of a task's residuals: its job on chain and its shard."""
    return f"{task.contract}/{task.job_id}/{task.shard}"


class Residuals:
    """A folder of residuals, named by their CIDs, with an index. Thread-safe, and safe against a kill at any time.

    The last two rounds of each place are kept, so that a task that is repeated adds the same residual again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def before(self, place: str, round_: int) -> Path | None:
        """The newest residual of a round before this one; None when there is none or it is damaged."""
        with self._lock:
            earlier = [kept for kept in self._read() if kept.place == place and kept.round < round_]
        if not earlier:
            return None
        newest = max(earlier, key=lambda kept: kept.round)
        path = self._folder / newest.cid
        try:
            found: str = cid_of_file(path)
        except OSError as error:
            found = str(error)
        if found != newest.cid:
            log.warning("the residual %s is ignored, because it is damaged: %s", newest.cid, found)
            return None
        return path

    def keep(self, place: str, round_: int, source: Path, now: float) -> None:
        """Store a copy of a round's residual; remove those that only earlier rounds needed."""
        with self._lock:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            cid = self._copy(source)
            kept = [one for one in self._read() if (one.place, one.round) != (place, round_)]
            previous = max((one.round for one in kept if one.place == place and one.round < round_), default=0)
            kept = [one for one in kept if one.place != place or one.round >= previous]
            self._write([*kept, StoredResidual(place=place, round=round_, cid=cid, at=now)])

    def forget_before(self, time: float) -> None:
        """Remove residuals that were stored before `time`, and files that a killed agent left behind."""
        with self._lock:
            if self._folder.is_dir():
                self._write([one for one in self._read() if one.at >= time])

    def _read(self) -> list[StoredResidual]:
        path = self._folder / INDEX
        return _Index.read(path).kept if path.exists() else []

    def _write(self, kept: list[StoredResidual]) -> None:
        """Replace the index, and only then remove the files that it does not name."""
        _Index(kept=kept).write(self._folder / INDEX)
        named = {INDEX, *(one.cid for one in kept)}
        for path in self._folder.iterdir():
            if path.name not in named:
                path.unlink()

    def _copy(self, source: Path) -> str:
        cid = cid_of_file(source)
        with new_file(self._folder / cid) as copy:
            shutil.copyfile(source, copy)
        return cid
