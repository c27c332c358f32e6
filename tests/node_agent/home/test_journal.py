"""The journal: what was accepted is there, in order, whoever was killed when."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from atlas.content.format.cid import cid_of_bytes
from atlas.documents.manifests import SavedCheckpoint
from node_agent.errors import NodeError
from node_agent.home.journal import Journal, JournalEntry
from node_agent.wire.messages import AssignHint
from tests.support.paths import REPOSITORY

PLAN = cid_of_bytes(b"plan")


def hint(number: int) -> AssignHint:
    cid = cid_of_bytes(str(number).encode())
    return AssignHint(task=cid, task_id=f"{number:016x}", job_id=1, round=1, slot=number, attempt=1)


def test_a_task_is_accepted_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    first = journal.accept(hint(1), PLAN)
    journal.save(first.model_copy(update={"state": "in_progress", "crashes": 1}), now=5.0)
    again = journal.accept(hint(1), PLAN)
    assert (again.state, again.crashes) == ("in_progress", 1)
    assert len(journal.unfinished()) == 1


def test_the_newest_checkpoint_is_what_is_reported(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    points = [SavedCheckpoint(step=step, cid=cid_of_bytes(bytes([step]))) for step in (5, 10)]
    journal.save(journal.accept(hint(1), PLAN).model_copy(update={"checkpoints": points}), now=1.0)
    assert Journal(tmp_path / "journal.db")[hint(1).task].report().checkpoint == points[1]


def test_an_end_is_final(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    entry = journal.accept(hint(1), PLAN)
    journal.save(entry.model_copy(update={"state": "failed", "error": "no"}), now=1.0)
    with pytest.raises(NodeError, match="cannot become in_progress"):
        journal.save(entry.model_copy(update={"state": "in_progress"}), now=2.0)
    assert journal[hint(1).task].error == "no"
    assert journal.unfinished() == []
    assert journal.counts() == {"failed": 1}


def test_what_ended_long_ago_is_forgotten_and_what_runs_is_not(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    for number, ended in ((1, 10.0), (2, 20.0)):
        journal.save(journal.accept(hint(number), PLAN).model_copy(update={"state": "completed"}), now=ended)
    journal.accept(hint(3), PLAN)
    assert [entry.hint.slot for entry in journal.forget_before(20.0)] == [1]
    assert [entry.hint.slot for entry in journal.recent(10)] == [3, 2]


def test_a_journal_of_a_later_version_and_a_file_that_is_none_are_errors(tmp_path: Path) -> None:
    Journal(tmp_path / "later.db")
    with sqlite3.connect(tmp_path / "later.db") as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(NodeError, match="has version 99, expected 1"):
        Journal(tmp_path / "later.db")
    (tmp_path / "noise.db").write_bytes(b"noise" * 1000)
    with pytest.raises(NodeError, match=r"noise\.db .* is damaged: file is not a database\. Move noise\.db"):
        Journal(tmp_path / "noise.db")


WRITER = """
from tests.node_agent.home.test_journal import PLAN, Journal, Path, hint
journal = Journal(Path({path!r}))
for number in range(10_000):
    entry = journal.accept(hint(number), PLAN)
    journal.save(entry.model_copy(update={{"state": "in_progress", "step": number}}), now=0.0)
    print(number, flush=True)
"""


@pytest.mark.parametrize("after", [1, 7, 20])
def test_what_was_written_before_kill_9_is_there(tmp_path: Path, after: int) -> None:
    path = tmp_path / "journal.db"
    code = WRITER.format(path=str(path))
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    writer = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    told = -1
    while told < after:
        told = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    rest, _ = writer.communicate()
    told = max([told, *map(int, rest.split())])
    entries = Journal(path).unfinished()
    assert [entry.hint.slot for entry in entries] == list(range(len(entries))), "in order, without holes"
    assert len(entries) > told
    assert all((entry.state, entry.step) == ("in_progress", entry.hint.slot) for entry in entries[: told + 1])


class JournalMachine(RuleBasedStateMachine):
    """The journal against a dictionary, opened anew at any moment."""

    numbers = st.integers(0, 4)

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "journal.db"
        self.journal = Journal(self.path)
        self.model: dict[int, JournalEntry] = {}

    @rule(number=numbers)
    def accept(self, number: int) -> None:
        self.model.setdefault(number, JournalEntry(hint=hint(number), plan=PLAN))
        assert self.journal.accept(hint(number), PLAN) == self.model[number]

    @precondition(lambda self: self.model)
    @rule(
        data=st.data(), state=st.sampled_from(["in_progress", "completed", "failed", "paused"]), step=st.integers(0, 9)
    )
    def save(self, data: st.DataObject, state: str, step: int) -> None:
        number = data.draw(st.sampled_from(sorted(self.model)))
        changed = self.model[number].model_copy(update={"state": state, "step": step})
        if self.model[number].ended:
            with pytest.raises(NodeError):
                self.journal.save(changed, 1.0)
        else:
            self.journal.save(changed, 1.0)
            self.model[number] = changed

    @rule()
    def open_anew(self) -> None:
        self.journal = Journal(self.path)

    @invariant()
    def agrees(self) -> None:
        assert self.journal.unfinished() == [entry for entry in self.model.values() if not entry.ended]

    def teardown(self) -> None:
        self.folder.cleanup()


TestJournalMachine = JournalMachine.TestCase
TestJournalMachine.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
