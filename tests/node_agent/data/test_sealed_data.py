"""A node opens a sealed shard with a key that it asks for, over a real bus, with a coordinator that a test plays."""

import asyncio
import io
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from atlas.content.local.store import LocalStore
from atlas.content.sealed.sealing import DatasetKey, file_key, read_header, seal_file
from atlas.content.sealed.wrapping import KeyContext, wrap_key
from atlas.errors import ContentError, SealError
from atlas.signing import KeySigner
from atlas.spec.job import TaskSpec
from node_agent.data.sealed_data import KeyNotYet, KeyRefused, sealed_rows
from node_agent.wire import subjects
from node_agent.wire.bus import Bus, Message
from node_agent.wire.messages import KeyAnswer, KeyRequest

# Each test starts a server of its own.
pytestmark = pytest.mark.slow

KEY = DatasetKey(b"\x03" * 32)
ROWS = b'{"text":"a private row"}\n'
ANY = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
Reply = Callable[[KeyRequest], KeyAnswer | None]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def task(store: LocalStore) -> TaskSpec:
    sealed = io.BytesIO()
    seal_file(io.BytesIO(ROWS), "s000", KEY, sealed)
    fields = dict.fromkeys(("job", "model", "base"), ANY)
    place = {"contract": "atlas1contract", "job_id": 7, "round": 2, "slot": 0, "attempt": 3, "shard": "s000"}
    return TaskSpec(kind="train", data=store.put(sealed.getvalue()), form="sealed", rows=1, **fields, **place)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "work"
    path.mkdir()
    return path


class Coordinator:
    """Alice, who owns the job and says what a test has her say, one reply a request; the last one again and again."""

    def __init__(self, store: LocalStore, task: TaskSpec, node: KeySigner) -> None:
        self.right = file_key(KEY, read_header(store.fetch(task.data)))
        self.task, self.node = task, node
        self.requests: list[tuple[str, KeyRequest]] = []
        self.replies: list[Reply] = [self.grant]

    def grant(self, request: KeyRequest) -> KeyAnswer:
        return self.wrapped(self.right, self.task)

    def wrapped(self, key: bytes, task: TaskSpec) -> KeyAnswer:
        wrapped = wrap_key(key, self.node.public_key, KeyContext.of(task))
        return KeyAnswer(ephemeral=wrapped.ephemeral.hex(), box=wrapped.box.hex())

    async def answer(self, message: Message) -> dict[str, Any] | None:
        request = message.read(KeyRequest)
        self.requests.append((message.sender, request))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        answer = reply(request)
        return answer.to_body() if answer else None


@pytest.fixture
def coordinator(store: LocalStore, task: TaskSpec, bob: KeySigner) -> Coordinator:
    return Coordinator(store, task, bob)


@pytest.fixture
async def listens(nats_server: Any, alice: KeySigner, coordinator: Coordinator) -> AsyncIterator[Bus]:
    bus = await Bus.connect(nats_server.url, alice)
    await bus.subscribe(subjects.keys(7), coordinator.answer)
    yield bus
    await bus.close()


@pytest.fixture
async def shop(nats_server: Any, store: LocalStore, alice: KeySigner, bob: KeySigner) -> AsyncIterator[Any]:
    """Bob's node."""
    bus = await Bus.connect(nats_server.url, bob)
    yield SimpleNamespace(store=store, bus=bus, signer=bob, owner_of={7: alice.address}.__getitem__)
    await bus.close()


@pytest.mark.usefixtures("listens")
async def test_the_rows_are_opened_for_this_user_alone(
    coordinator: Coordinator, shop: Any, task: TaskSpec, folder: Path, bob: KeySigner
) -> None:
    path = await sealed_rows(task, shop, folder)
    assert path.read_bytes() == ROWS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(folder.iterdir()) == [path], "no key, and nothing half-written"
    ((sender, request),) = coordinator.requests
    assert sender == bob.address
    assert (request.task, request.task_id, request.public_key) == (task.cid, task.task_id, bob.public_key.hex())
    assert (request.round, request.slot, request.attempt) == (2, 0, 3)


@pytest.mark.usefixtures("listens")
async def test_what_was_opened_is_used_again_without_a_key(
    coordinator: Coordinator, shop: Any, task: TaskSpec, folder: Path
) -> None:
    first = await sealed_rows(task, shop, folder)
    assert await sealed_rows(task, shop, folder) == first
    assert len(coordinator.requests) == 1


async def test_a_coordinator_that_is_not_there_yet_is_waited_for(
    coordinator: Coordinator, shop: Any, task: TaskSpec, folder: Path, nats_server: Any, alice: KeySigner
) -> None:
    asking = asyncio.create_task(sealed_rows(task, shop, folder))
    bus = await Bus.connect(nats_server.url, alice)
    await asyncio.sleep(0.3)
    assert not asking.done()
    await bus.subscribe(subjects.keys(7), coordinator.answer)
    assert (await asyncio.wait_for(asking, 60)).read_bytes() == ROWS
    await bus.close()


@pytest.mark.usefixtures("listens")
async def test_a_coordinator_that_cannot_tell_is_asked_again(
    coordinator: Coordinator, shop: Any, task: TaskSpec, folder: Path
) -> None:
    coordinator.replies.insert(0, lambda request: KeyAnswer(refused="the chain does not answer", later=True))
    assert (await sealed_rows(task, shop, folder)).read_bytes() == ROWS
    assert len(coordinator.requests) == 2


@pytest.mark.usefixtures("listens")
async def test_a_refusal_is_final_and_tells_its_reason(
    coordinator: Coordinator, shop: Any, task: TaskSpec, folder: Path
) -> None:
    coordinator.replies = [lambda request: KeyAnswer(refused="no live lease")]
    with pytest.raises(KeyRefused, match=f"{task.task_id}: no live lease") as caught:
        await sealed_rows(task, shop, folder)
    assert not isinstance(caught.value, KeyNotYet)
    assert len(coordinator.requests) == 1
    assert list(folder.iterdir()) == []


async def test_nobody_but_the_owner_of_the_job_is_believed(
    coordinator: Coordinator, shop: Any, task: TaskSpec, folder: Path, nats_server: Any, listens: Bus
) -> None:
    mallory = await Bus.connect(nats_server.url, KeySigner(b"\x05" * 32, "atlas"))

    async def refuse(message: Message) -> dict[str, Any]:
        return KeyAnswer(refused="not you").to_body()

    await mallory.subscribe(subjects.keys(7), refuse)
    assert (await sealed_rows(task, shop, folder)).read_bytes() == ROWS
    assert coordinator.requests
    await mallory.close()


@pytest.mark.usefixtures("listens")
async def test_a_key_that_is_not_genuine_opens_nothing(
    coordinator: Coordinator, shop: Any, task: TaskSpec, folder: Path
) -> None:
    other = task.model_copy(update={"attempt": 2})
    for answer in (coordinator.wrapped(bytes(32), task), coordinator.wrapped(coordinator.right, other)):
        coordinator.replies = [lambda request, answer=answer: answer]  # type: ignore[misc]
        with pytest.raises(SealError):
            await sealed_rows(task, shop, folder)
        assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("listens")
async def test_a_file_that_cannot_be_had_asks_for_no_key(
    coordinator: Coordinator, shop: Any, task: TaskSpec, folder: Path
) -> None:
    with pytest.raises(ContentError, match=ANY):
        await sealed_rows(task.model_copy(update={"data": ANY}), shop, folder)
    assert coordinator.requests == []


GOOD = {"ephemeral": "02" * 33, "box": "00" * 48}


@pytest.mark.parametrize(
    "body",
    [{}, {"ephemeral": GOOD["ephemeral"]}, {"box": GOOD["box"]}, {**GOOD, "refused": "no"}, {**GOOD, "box": "00" * 47}],
)
def test_an_answer_is_a_key_or_a_reason(body: dict[str, str]) -> None:
    assert KeyAnswer.model_validate(GOOD).refused is None
    with pytest.raises(ValidationError):
        KeyAnswer.model_validate(body)
