"""A node whose disk is full tries seldom, says why once, and goes on when there is space."""

import asyncio
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.content.format.cid import cid_of_bytes
from atlas.content.local.store import LocalStore
from atlas.signing import KeySigner
from node_agent.agent import Agent
from node_agent.errors import NodeError, TaskRefused
from node_agent.home.config import NodeConfig, NodeHome
from node_agent.home.journal import Journal, JournalEntry
from node_agent.home.residuals import Residuals
from node_agent.node_context import NodeContext
from node_agent.tasks.rests import FIRST_SECONDS, LONGEST_SECONDS, Rests, rest_seconds
from node_agent.tasks.workbench import LOST, Workbench
from node_agent.wire.messages import AssignHint

PLAN, CID = cid_of_bytes(b"plan"), cid_of_bytes(b"task")
HINT = AssignHint(task=CID, task_id=f"{1:016x}", job_id=1, round=1, slot=1, attempt=1)
LOOK_SECONDS, HOUR = 10, 3600


class Disk:
    """A file system of 512 KiB that can be filled."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._ballast = folder, folder / "ballast"

    def fill(self) -> None:
        with self._ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4096))

    def free(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system takes more rights than this user has")
    yield Disk(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class FullJournal(Journal):
    """A journal that can be read and not written, as on a disk with a little space."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.full, self.refused = False, set[float]()

    def save(self, entry: JournalEntry, now: float) -> None:
        if self.full:
            self.refused.add(now)
            raise NodeError("journal.db cannot be written: the disk is full.")
        super().save(entry, now)


class Node:
    """A workbench, and what it says on the bus and gives back."""

    def __init__(self, elsewhere: Path) -> None:
        self.clock, self.said, self.given_back = Clock(), list[dict[str, Any]](), list[JournalEntry]()
        self.journal = FullJournal(elsewhere / "journal.db")
        config = NodeConfig.model_validate(
            {
                "network": {"chain_id": "c", "url": "grpc+http://127.0.0.1:1", "contract": "atlas1c"},
                "bus": "nats://127.0.0.1:1",
                "content": str(elsewhere / "content"),
            }
        )
        home = NodeHome(elsewhere / "node")
        shop = NodeContext(
            home, config, self.journal, LocalStore(elsewhere / "content"), Residuals(home.residuals), self,  # type: ignore[arg-type]
            KeySigner(b"\x01" * 32, "atlas"), self.clock, lambda job: "atlas1",
        )  # fmt: skip
        self.shop = shop
        self.bench = Workbench(shop, [None], self._give_back)

    async def publish(self, subject: str, body: dict[str, Any]) -> None:
        self.said.append(body)

    async def _give_back(self, entry: JournalEntry) -> None:
        self.given_back.append(entry)

    async def look(self, ours: bool = True) -> None:
        """One look at the chain, and all that follows from it."""
        self.clock.now += LOOK_SECONDS
        self.bench.learn({CID: ours} if self.journal.unfinished() else {})
        while self.bench._work:
            await asyncio.gather(*self.bench._work)


def interruptions(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if "is interrupted" in one.getMessage()]


@pytest.fixture
async def node(tmp_path: Path) -> Node:
    """A node that has accepted a task, on a disk that is full since."""
    node = Node(tmp_path)
    node.journal.accept(HINT, PLAN)
    node.journal.full = True
    return node


async def test_a_task_is_tried_seldom_its_reason_is_told_once_and_it_goes_on(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(HOUR // LOOK_SECONDS):
        await node.look()
    moments = sorted(node.journal.refused)
    assert 5 <= len(moments) <= 25, "an hour of looks every ten seconds"
    assert all(after - before >= LONGEST_SECONDS / 2 for before, after in pairwise(moments[-4:]))
    [told] = interruptions(caplog)
    assert "the disk is full" in told
    assert node.given_back == []

    node.journal.full = False
    for _ in range(int(LONGEST_SECONDS // LOOK_SECONDS) + 1):
        await node.look()
    entry = node.journal[CID]
    assert entry.state == "failed"
    assert entry.error is not None
    assert f"{CID} is not in" in entry.error, "its own reason: its document was never put"
    assert [one.task for one in node.given_back] == [CID]


async def test_a_task_that_is_lost_meanwhile_ends_when_there_is_space(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(30):
        await node.look(ours=False)
    assert len(interruptions(caplog)) == 1
    node.journal.full = False
    for _ in range(60):
        await node.look(ours=False)
    assert (node.journal[CID].state, node.journal[CID].error) == ("failed", LOST)


async def test_an_agent_lives_on_a_disk_that_cannot_even_be_read_and_says_so_once(
    disk: Disk, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(disk.folder / "journal.db")
    journal.accept(HINT, PLAN)
    node = Node(tmp_path)
    agent = Agent(node.shop, None, None, 1, [None])  # type: ignore[arg-type]
    looks = []

    async def beat() -> None:
        looks.append(len(journal.unfinished()))

    monkeypatch.setattr(agent, "_beat_on_chain", beat)
    disk.fill()
    for _ in range(3):
        await agent._look()
    assert looks == []
    [told] = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert f"{disk.folder / 'journal.db'} " in told
    assert "the disk is full. Free some space there" in told
    disk.free()
    await agent._look()
    assert looks == [1]

    async def broken() -> None:
        raise NodeError("another")

    monkeypatch.setattr(agent, "_beat_on_chain", broken)
    with pytest.raises(NodeError, match="another"):
        await agent._look()


async def test_a_task_that_cannot_be_noted_is_refused_so_that_another_node_gets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path)

    def full(hint: AssignHint, plan: str) -> JournalEntry:
        raise NodeError("the disk is full.")

    monkeypatch.setattr(node.journal, "accept", full)
    agent = Agent(node.shop, None, None, 1, [None])  # type: ignore[arg-type]
    with pytest.raises(TaskRefused, match="cannot be written to the journal: the disk is full") as refused:
        agent._accept(HINT, PLAN)
    assert refused.value.lease_is_ours


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_rests_grow_to_an_end_and_differ(interruptions: int, chance: float) -> None:
    seconds = rest_seconds(interruptions, chance)
    assert FIRST_SECONDS / 2 <= seconds <= LONGEST_SECONDS
    assert seconds <= rest_seconds(interruptions + 1, chance)
    assert rest_seconds(interruptions, 0) == 2 * rest_seconds(interruptions, 1)


def test_another_reason_is_told_and_a_clock_that_is_set_back_ends_a_rest() -> None:
    clock = Clock()
    rests = Rests(clock, lambda: 0.0)
    assert rests.interrupted("a", "full") == FIRST_SECONDS
    assert rests.interrupted("a", "full") is None
    assert rests.interrupted("a", "read-only") == 4 * FIRST_SECONDS
    assert rests.rests("a")
    assert not rests.rests("b")
    clock.now -= 2 * LONGEST_SECONDS
    assert not rests.rests("a")
    rests.interrupted("a", "full")
    rests.forget("a")
    assert not rests.rests("a")
