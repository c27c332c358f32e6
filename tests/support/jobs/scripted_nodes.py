"""Nodes with a real key on the real bus and chain, whose behaviour a test writes down."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from atlas.aggregation.compression.wire import encode_update
from atlas.content.format.cid import cid_of_file
from atlas.content.local.store import LocalStore
from atlas.documents.manifests import Checkpoint, Environment, ModelManifest, Receipt, SavedCheckpoint, TrainingPoint
from atlas.documents.stored import get_document, put_document
from atlas.spec.job import JobSpec, TaskSpec
from atlas.verification.receipts import sign_receipt
from chain_bridge.client.keys import Key
from chain_bridge.errors import ChainUnreachable
from chain_bridge.ledger import Ledger
from node_agent.wire import subjects
from node_agent.wire.bus import Bus, Message
from node_agent.wire.messages import AssignHint, TaskReport

HEARTBEAT_SECONDS = 3
RANK = 4
ENVIRONMENT = Environment(device="cpu", torch="0", transformers="0", peft="0", platform="x", precision="fp32")


A, B, HEAD = "layer.lora_A.weight", "layer.lora_B.weight", "head.weight"
SHAPES = {A: (RANK, 6), B: (6, RANK), HEAD: (2, 6)}
START = 99


def untrained_bytes() -> bytes:
    """The adapter of round 0: B is zero, all else is drawn."""
    return save({A: _drawn(START, A), B: np.zeros(SHAPES[B], np.float32), HEAD: _drawn(START, HEAD)})


def adapter_bytes(
    slot: int, broken: bool = False, rank: int = RANK, frozen: str | None = None, scale: float = 1.0
) -> bytes:
    """A small update whose change of the untrained adapter is unlike that of any other slot, and about as long."""
    tensors = {
        A: (_drawn(START, A) + 0.3 * scale * _drawn(slot, A))[:rank],
        B: scale * _drawn(slot, B)[:, :rank],
        HEAD: _drawn(START, HEAD) + 0.3 * scale * _drawn(slot, HEAD),
    }
    if broken:
        tensors[HEAD][0, 0] = np.nan
    left = {A: "A", B: "B"}
    return save(
        {
            name: np.ascontiguousarray(value, np.float32)
            for name, value in tensors.items()
            if frozen is None or left.get(name) != frozen
        }
    )


def _drawn(slot: int, name: str) -> np.ndarray:
    return np.random.default_rng([slot, *name.encode()]).normal(size=SHAPES[name]).astype(np.float32)


class PaperAdapters:
    """Makes the untrained adapter that fits scripted nodes, for a model that no test loads, and counts how often."""

    def __init__(self) -> None:
        self.count = 0

    def make(self, spec: JobSpec, model: ModelManifest, cache: Path, folder: Path) -> Path:
        self.count += 1
        path = folder / "adapter.safetensors"
        path.write_bytes(untrained_bytes())
        return path


def update_for(task: TaskSpec, store: LocalStore) -> bytes:
    """An update with the tensors and the rank that its task asks for."""
    strategy = get_document(store, task.job, JobSpec).aggregation.method
    return adapter_bytes(task.slot, rank=task.rank or RANK, frozen=strategy.frozen_factor(task.round))


Behaviour = Callable[["ScriptedNode", TaskSpec, AssignHint, int], Awaitable[TaskReport | None]]


@dataclass
class ScriptedNode:
    """A node with a real key, on the real bus and chain, that does with a task what its behaviour says."""

    key: Key
    ledger: Ledger
    store: LocalStore
    behaviour: Behaviour
    node_id: int = 0
    bus: Bus | None = None
    asked: dict[str, int] = field(default_factory=dict)
    encoded_only: set[str] = field(default_factory=set)
    """Updates that were sent in encoded form alone."""
    beating: asyncio.Task | None = None
    clock: Callable[[], float] = time.time

    async def start(self, url: str, capacity: int = 8) -> None:
        manifest = self.store.put(b"a scripted node")
        self.node_id = await asyncio.to_thread(self.ledger.register_node, "compute", capacity, manifest)
        self.bus = await Bus.connect(url, self.key, self.clock)
        await self.bus.subscribe(subjects.assign(self.node_id), self._on_hint)
        self.beating = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS / 3)
            with contextlib.suppress(ChainUnreachable):
                await asyncio.to_thread(self.ledger.heartbeat)

    async def _on_hint(self, message: Message) -> dict | None:
        hint = message.read(AssignHint)
        count = self.asked[hint.task] = self.asked.get(hint.task, 0) + 1
        report = await self.behaviour(self, get_document(self.store, hint.task, TaskSpec), hint, count)
        return report.to_body() if report else None

    async def die(self) -> None:
        """No heartbeat and no answer any more."""
        if self.beating is not None:
            self.beating.cancel()
            self.beating = None
        if self.bus is not None:
            await self.bus.close()
            self.bus = None

    def report(self, task: TaskSpec, state: str, **fields) -> TaskReport:
        return TaskReport(task_id=task.task_id, task=task.cid, attempt=task.attempt, state=state, **fields)

    def completed(self, task: TaskSpec, adapter: bytes | None = None) -> TaskReport:
        """Put a result and a signed receipt into the store."""
        train = task.kind == "train"
        sent = self.send(task, adapter or update_for(task, self.store)) if train else {}
        metrics = {} if train else self.metrics(task)
        receipt = Receipt(
            task=task.cid,
            task_id=task.task_id,
            attempt=task.attempt,
            node=self.key.address,
            data=task.data,
            base=task.base,
            **sent,
            losses=[TrainingPoint(step=1, loss=0.7)] if train else [],
            metrics=metrics,
            resumed_from=task.resume,
            environment=Environment(
                device="cpu", torch="0", transformers="0", peft="0", platform="x", precision="fp32"
            ),
            started_at=1.0,
            finished_at=2.0,
        )
        signed = put_document(self.store, sign_receipt(receipt, self.key))
        return self.report(task, "completed", adapter=sent.get("adapter"), receipt=signed)

    def send(self, task: TaskSpec, update: bytes) -> dict[str, str]:
        """Upload an update as the job has it travel; what the receipt says of it."""
        spec = get_document(self.store, task.job, JobSpec)
        if spec.aggregation.compression.codec == "none":
            return {"adapter": self.store.put(update)}
        base = self.store.fetch(get_document(self.store, task.base, Checkpoint).adapter)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "update.safetensors"
            path.write_bytes(update)
            made = encode_update(path, base, spec.aggregation.compression, None, Path(folder))
            self.encoded_only.add(cid_of_file(made.decoded))
            return {"adapter": cid_of_file(made.decoded), "encoded": self.store.put(made.file)}

    def metrics(self, task: TaskSpec) -> dict[str, dict[str, float]]:
        """As bad as their place in the list, from the third on: the first update left out is missed the least."""
        judged = {one: {"loss": 0.5, "rows": 3.0} for one in task.checkpoints[:2]}
        rivals = enumerate(task.checkpoints[2:])
        return judged | {one: {"loss": 0.5 + 0.1 * place, "reference_loss": 0.5} for place, one in rivals}

    def checkpoint(self, step: int) -> SavedCheckpoint:
        return SavedCheckpoint(step=step, cid=self.store.put(f"checkpoint of step {step}".encode()))


async def completes(node: ScriptedNode, task: TaskSpec, hint: AssignHint, count: int) -> TaskReport:
    """Say `in_progress` once, then `completed`."""
    if count == 1:
        return node.report(task, "in_progress", step=1, steps=2)
    return node.completed(task)


async def fails(node: ScriptedNode, task: TaskSpec, hint: AssignHint, count: int) -> TaskReport:
    return node.report(task, "failed", error="out of memory")


async def works_on(node: ScriptedNode, task: TaskSpec, hint: AssignHint, count: int) -> TaskReport:
    """Never come to an end."""
    return node.report(task, "in_progress", step=count, steps=1000)
