"""Dagster Pipes over the bus: one session per attempt at a task; the node relays what its trainer prints."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Lock
from typing import Any, Self

import dagster as dg
from dagster_pipes import PipesContextData, PipesDefaultMessageWriter, PipesParams

from atlas.spec.job import TaskSpec
from node_agent.tasks.progress_messages import payload_of
from resources.dispatch.outcomes import NOTABLE, TaskUpdate

RELAYED = ("opened", "closed", "log", "report_custom_message", "report_asset_materialization")
LOG_LINES = 100
"""Lines of one attempt that reach Dagster's log; each costs some 20 ms there, and a node may print without end."""


class TaskContextInjector(dg.PipesEnvContextInjector):
    """Puts the step's context into environment variables, re-addressed to what one task makes."""

    def __init__(self, asset: str, partition: str) -> None:
        self._address = {"asset_keys": [asset], "partition_key": partition}

    @contextmanager
    def inject_context(self, context_data: PipesContextData) -> Iterator[PipesParams]:
        """Yield the variables' parameters."""
        with super().inject_context({**context_data, **self._address}) as params:  # type: ignore[typeddict-item]
            yield params


class RelayedMessageReader(dg.PipesMessageReader):
    """The trainer prints its messages; they reach the session's handler over the bus."""

    @contextmanager
    def read_messages(self, handler: dg.PipesMessageHandler) -> Iterator[PipesParams]:
        """Tell the trainer to print."""
        yield {PipesDefaultMessageWriter.STDIO_KEY: PipesDefaultMessageWriter.STDOUT}

    def no_messages_debug_text(self) -> str:
        """Where the messages should have come from."""
        return "The node relays the Pipes messages of its trainer over the bus; none arrived."


class PipesSessions:
    """The open sessions of a step, one per attempt at a task. What a node says here is logged, never believed."""

    def __init__(self, context: dg.AssetExecutionContext, asset: str, partition: Callable[[TaskSpec], str]) -> None:
        self._context, self._asset, self._partition = context, asset, partition
        self._sessions: dict[str, dg.PipesSession] = {}
        self._lines: dict[str, int] = {}
        self._stack = ExitStack()
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def environment(self, task: TaskSpec) -> dict[str, str]:
        """The variables that a trainer needs to report to this step; the same at every call for one attempt.

        Called in the thread that talks to the fleet; everything else here belongs to the step's own thread.
        """
        with self._lock:
            if task.cid not in self._sessions:
                self._sessions[task.cid] = self._stack.enter_context(self._open(task))
            return dict(self._sessions[task.cid].get_bootstrap_env_vars())

    def _open(self, task: TaskSpec) -> AbstractContextManager[dg.PipesSession]:
        injector = TaskContextInjector(self._asset, self._partition(task))
        return dg.open_pipes_session(self._context, injector, RelayedMessageReader(), extras={"task": task.task_id})

    def hear(self, update: TaskUpdate) -> None:
        """Hand a relayed message to its session; log what else is worth a line."""
        if update.event == "message" and update.message is not None:
            self._relay(update, update.message)
        elif update.event in NOTABLE:
            self._context.log.warning("%s", update.text)
        elif update.event != "progress":
            self._context.log.info("%s", update.text)

    def _relay(self, update: TaskUpdate, message: Mapping[str, Any]) -> None:
        session = self._sessions.get(update.task.cid)
        if session is None or message.get("method") not in RELAYED or payload_of(message).get("kind") == "stage":
            return  # Dagster would take a stage that comes after `closed`, of an upload, for an error
        if message["method"] == "log":
            lines = self._lines[update.task.cid] = self._lines.get(update.task.cid, 0) + 1
            if lines > LOG_LINES:
                return
        try:
            session.message_handler.handle_message(_prefixed(message, self._partition(update.task)))
        except Exception as error:  # whatever a node sends must not end the round
            self._context.log.warning("node %s sent a malformed Pipes message: %s", update.node_id, error)


def _prefixed(message: Mapping[str, Any], partition: str) -> Any:
    """The message; a log line says whose it is, since a round's sessions share one log."""
    if message["method"] != "log":
        return message
    return {**message, "params": {**message["params"], "message": f"[{partition}] {message['params']['message']}"}}
