"""The rows of a task as a file on this machine, from plain, sealed or node-local data."""

import asyncio
from pathlib import Path

from atlas.spec.job import TaskSpec
from node_agent.data.local_data import local_rows
from node_agent.data.sealed_data import sealed_rows
from node_agent.node_context import NodeContext


async def open_data(task: TaskSpec, shop: NodeContext, folder: Path) -> Path:
    """The task's rows, canonical JSONL: fetched, unsealed into `folder`, or written there from the node's own data.

    Raises an `AtlasError` that names what is missing, altered or not given to this node.
    """
    if task.form == "sealed":
        return await sealed_rows(task, shop, folder)
    if task.form == "node-local":
        return await asyncio.to_thread(local_rows, task, shop, folder)
    return await asyncio.to_thread(shop.store.fetch, task.data)
