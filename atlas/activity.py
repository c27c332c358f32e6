"""Signs that long work advances: a stage that begins, bytes that arrived or were read, a part that is finished.

The code that works calls `begin` and `advance`, and the code that waits for it sets a listener, in a context variable:
the stores and libraries in between need no parameter for it. Without a listener a call does nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str | None, int], None]
"""Gets the stage that begins, None while the same one goes on, and the bytes since the last call. It may be called in
any thread, as often as for every row."""


def _ignore(stage: str | None, size: int) -> None:
    """No listener is set."""


_LISTENER: ContextVar[Listener] = ContextVar("listener", default=_ignore)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Let `listener` get what this context reports, and what it starts with `asyncio.to_thread` or as a task."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def current_listener() -> Listener:
    """The listener of this context, for threads of a library, which do not take the context along."""
    return _LISTENER.get()


def begin(stage: str) -> None:
    """A stage begins, such as "loading the model", so that the one before it is finished."""
    _LISTENER.get()(stage, 0)


def advance(size: int = 0) -> None:
    """More of the stage is done: so many bytes, or 0 for a part that is not counted in bytes."""
    _LISTENER.get()(None, size)
