"""Dagster Pipes over the bus: one session per attempt at a task; the node relays the output of its trainer."""

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
"""Most lines of one attempt in Dagster's log. Each takes about 20 ms to write, and a node may print endlessly."""


class TaskContextInjector(dg.PipesEnvContextInjector):
    """Puts the step's context into environment variables, with the asset and partition of one task."""

    def __init__(self, asset: str, partition: str) -> None:
        self._address = {"asset_keys": [asset], "partition_key": partition}

    @contextmanager
    def inject_context(self, context_data: PipesContextData) -> Iterator[PipesParams]:
        """Yield the variables' parameters."""
        with super().inject_context({**context_data, **self._address}) as params:  # type: ignore[typeddict-item]
            yield params


class RelayedMessageReader(dg.PipesMessageReader):
    """Makes the trainer print its messages; they reach the session's handler over the bus."""

    @contextmanager
    def read_messages(self, handler: dg.PipesMessageHandler) -> Iterator[PipesParams]:
        """Yield the parameters that make the trainer write its messages to stdout."""
        yield {PipesDefaultMessageWriter.STDIO_KEY: PipesDefaultMessageWriter.STDOUT}

    def no_messages_debug_text(self) -> str:
        """The text for a session without messages: where they should have come from."""
        return "The node relays the Pipes messages of its trainer over the bus; none arrived."


class PipesSessions:
    """The open sessions of a step, one per attempt at a task. Messages from nodes are logged, but never trusted."""

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
        """The variables that a trainer needs to report to this step; every call for one attempt returns the same.

        Called in the thread of the event loop; all other methods are called in the step's thread.
        """
        with self._lock:
            if task.cid not in self._sessions:
                self._sessions[task.cid] = self._stack.enter_context(self._open(task))
            return dict(self._sessions[task.cid].get_bootstrap_env_vars())

    def _open(self, task: TaskSpec) -> AbstractContextManager[dg.PipesSession]:
        injector = TaskContextInjector(self._asset, self._partition(task))
        return dg.open_pipes_session(self._context, injector, RelayedMessageReader(), extras={"task": task.task_id})

    def forward(self, update: TaskUpdate) -> None:
        """Pass a relayed message to its session; log other updates, except progress."""
        if update.event == "message" and update.message is not None:
            self._relay(update, update.message)
        elif update.event in NOTABLE:
            self._context.log.warning("%s", update.text)
        elif update.event != "progress":
            self._context.log.info("%s", update.text)

    def _relay(self, update: TaskUpdate, message: Mapping[str, Any]) -> None:
        session = self._sessions.get(update.task.cid)
        if session is None or message.get("method") not in RELAYED or payload_of(message).get("kind") == "stage":
            return  # an upload's stage comes after `closed`, which Dagster would report as an error
        if message["method"] == "log":
            lines = self._lines[update.task.cid] = self._lines.get(update.task.cid, 0) + 1
            if lines > LOG_LINES:
                return
        try:
            session.message_handler.handle_message(_prefixed(message, self._partition(update.task)))
        except Exception as error:  # no message from a node may end the round
            self._context.log.warning("node %s sent a malformed Pipes message: %s", update.node_id, error)


def _prefixed(message: Mapping[str, Any], partition: str) -> Any:
    """The message; log lines get their partition as prefix, because a round's sessions share one log."""
    if message["method"] != "log":
        return message
    return {**message, "params": {**message["params"], "message": f"[{partition}] {message['params']['message']}"}}
