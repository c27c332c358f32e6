"""Nodes with a real key on the real bus and chain, whose behaviour a test writes down."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np
from safetensors.numpy import save

from atlas.content.local import LocalStore
from atlas.content.store import get_document, put_document
from atlas.manifests import Environment, Receipt, SavedCheckpoint, TrainingPoint
from atlas.spec import TaskSpec
from atlas.verification.receipts import sign_receipt
from chain_bridge.errors import ChainUnreachable
from chain_bridge.keys import Key
from chain_bridge.ledger import Ledger
from node_agent import subjects
from node_agent.bus import Bus, Message
from node_agent.messages import AssignHint, TaskReport

HEARTBEAT_SECONDS = 3
RANK = 4
ENVIRONMENT = Environment(device="cpu", torch="0", transformers="0", peft="0", platform="x", precision="fp32")


def adapter_bytes(slot: int, broken: bool = False) -> bytes:
    """A small adapter that differs by slot."""
    fill = np.nan if broken else float(slot + 1)
    return save(
        {
            "layer.lora_A.weight": np.full((RANK, 6), fill, np.float32),
            "layer.lora_B.weight": np.full((6, RANK), fill, np.float32),
        }
    )


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
    beating: asyncio.Task | None = None

    async def start(self, url: str, capacity: int = 8) -> None:
        manifest = self.store.put(b"a scripted node")
        self.node_id = await asyncio.to_thread(self.ledger.register_node, "compute", capacity, manifest)
        self.bus = await Bus.connect(url, self.key)
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
        cid = self.store.put(adapter or adapter_bytes(task.slot)) if train else None
        metrics = {} if train else self.metrics(task)
        receipt = Receipt(
            task=task.cid,
            task_id=task.task_id,
            attempt=task.attempt,
            node=self.key.address,
            data=task.data,
            base=task.base,
            adapter=cid,
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
        return self.report(task, "completed", adapter=cid, receipt=signed)

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
