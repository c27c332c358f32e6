"""Residuals: the same round gets the same one again, whatever was killed in between."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.content.format.cid import cid_of_bytes
from node_agent.home.residuals import INDEX, Residuals
from tests.support.paths import REPOSITORY


def keep(folder: Path, place: str, round_: int, content: bytes, now: float = 1.0) -> None:
    source = folder.parent / "left-over"
    source.write_bytes(content)
    Residuals(folder).keep(place, round_, source, now)


def before(folder: Path, place: str, round_: int) -> bytes | None:
    path = Residuals(folder).before(place, round_)
    return None if path is None else path.read_bytes()


def test_a_round_gets_what_the_newest_round_before_it_left_over(tmp_path: Path) -> None:
    folder = tmp_path / "residuals"
    assert before(folder, "job/s000", 2) is None
    keep(folder, "job/s000", 1, b"one")
    assert [before(folder, "job/s000", round_) for round_ in (1, 2, 3)] == [None, b"one", b"one"]
    assert before(folder, "job/s001", 2) is None
    keep(folder, "job/s000", 2, b"two")
    keep(folder, "job/s000", 2, b"two")  # the same task, done again
    assert [before(folder, "job/s000", round_) for round_ in (1, 2, 3)] == [None, b"one", b"two"]
    keep(folder, "job/s000", 3, b"three")
    assert [before(folder, "job/s000", round_) for round_ in (2, 3, 4)] == [None, b"two", b"three"]
    assert {path.name for path in folder.iterdir()} == {INDEX, cid_of_bytes(b"two"), cid_of_bytes(b"three")}


def test_files_are_named_by_their_cid_and_a_damaged_one_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "residuals"
    keep(folder, "job/s000", 1, b"one")
    path = Residuals(folder).before("job/s000", 2)
    assert path == folder / cid_of_bytes(b"one")
    path.write_bytes(b"other")
    assert before(folder, "job/s000", 2) is None
    path.unlink()
    assert before(folder, "job/s000", 2) is None


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    folder = tmp_path / "residuals"
    Residuals(folder).forget_before(5.0)
    keep(folder, "old/s000", 1, b"old", now=4.0)
    keep(folder, "new/s000", 1, b"new", now=5.0)
    (folder / ".residual.partial").write_bytes(b"half")
    Residuals(folder).forget_before(5.0)
    assert before(folder, "old/s000", 2) is None
    assert before(folder, "new/s000", 2) == b"new"
    assert {path.name for path in folder.iterdir()} == {INDEX, cid_of_bytes(b"new")}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["job/s000", "job/s001"]), st.integers(1, 3)), max_size=12))
def test_rounds_in_order_are_remembered_two_deep(
    tmp_path_factory: pytest.TempPathFactory, done: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("place") / "residuals"
    at: dict[str, list[int]] = {}
    for place, ahead in done:
        rounds = at.setdefault(place, [])
        rounds.append((rounds[-1] if rounds else 0) + ahead)
        keep(folder, place, rounds[-1], f"{place} {rounds[-1]}".encode())
        for other, kept in at.items():
            assert before(folder, other, kept[-1] + 1) == f"{other} {kept[-1]}".encode()
            expected = f"{other} {kept[-2]}".encode() if len(kept) > 1 else None
            assert before(folder, other, kept[-1]) == expected


KILLED_AT = """
import os, sys
from pathlib import Path
from node_agent.home import residuals

folder, fatal = Path(sys.argv[1]), int(sys.argv[2])
seen = 0

def deadly(path, target, *, original=Path.replace):
    global seen
    seen += 1
    if seen == fatal:
        os.kill(os.getpid(), 9)
    return original(path, target)

Path.replace = deadly
residuals.Residuals(folder).keep("job/s000", 2, folder.parent / "left-over", 1.0)
"""


@pytest.mark.parametrize("fatal", [1, 2])
def test_a_kill_leaves_what_was_there_before(tmp_path: Path, fatal: int) -> None:
    """Killed before each of the two renames: of the file, and of the index."""
    folder = tmp_path / "residuals"
    keep(folder, "job/s000", 1, b"one")
    (tmp_path / "left-over").write_bytes(b"two")
    command = [sys.executable, "-c", KILLED_AT, str(folder), str(fatal)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, check=False)
    assert done.returncode == -9
    assert before(folder, "job/s000", 2) == before(folder, "job/s000", 3) == b"one"
    keep(folder, "job/s000", 2, b"two")
    assert [before(folder, "job/s000", round_) for round_ in (2, 3)] == [b"one", b"two"]
    assert len(list(folder.iterdir())) == 3
