"""Inputs that cannot be had at this moment: over IPFS they may be found soon, in a folder they may not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina

from atlas.content.places.open import Content, IpfsPlaces
from atlas.errors import ContentError, ContentNotFound, ContentUnreachable, SealError
from atlas.spec.job import TaskSpec
from node_agent.tasks.task_run import patiently

IPFS = IpfsPlaces(nodes=["http://127.0.0.1:5001"])
TASK = TaskSpec(
    kind="train", contract="c", job_id=1, job="j", model="m", round=1, slot=0, data="d", rows=1, base="b", attempt=1
)


@pytest.fixture(autouse=True)
def without_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.mark.parametrize(
    ("content", "error", "tries"),
    [
        (IPFS, ContentUnreachable("silent"), 3),
        (IPFS, ContentNotFound("does not have it"), 3),
        (IPFS, SealError("altered"), 1),
        (Path("/shared"), ContentNotFound("does not have it"), 1),
    ],
)
async def test_only_what_may_come_is_waited_for(content: Content, error: ContentError, tries: int) -> None:
    asked = []

    async def prepare(task: TaskSpec) -> str:
        asked.append(task)
        raise error

    with pytest.raises(type(error)):
        await patiently(content, prepare, TASK)
    assert len(asked) == tries


async def test_what_comes_late_is_taken() -> None:
    answers: list[ContentError | str] = [ContentNotFound("does not have it"), "order"]

    async def prepare(task: TaskSpec) -> str:
        answer = answers.pop(0)
        if isinstance(answer, ContentError):
            raise answer
        return answer

    assert await patiently(IPFS, prepare, TASK) == "order"
