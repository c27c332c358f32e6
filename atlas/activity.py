"""Progress of long operations: the start of a stage, bytes received or read, a finished part.

The working code calls `begin` and `advance`; its caller sets a listener in a context variable, so that the stores and
libraries in between need no parameter. Without a listener the calls do nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str | None, int], None]
"""Called with the new stage, or None if the stage has not changed, and the bytes since the last call. It may be called
in any thread, and as often as once per row."""


def _ignore(stage: str | None, size: int) -> None:
    """No listener is set."""


_LISTENER: ContextVar[Listener] = ContextVar("listener", default=_ignore)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send progress of this context to `listener`, also from its asyncio tasks and `asyncio.to_thread` calls."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def current_listener() -> Listener:
    """The listener of this context, to pass to threads of a library, which do not inherit the context."""
    return _LISTENER.get()


def begin(stage: str) -> None:
    """Report the start of a stage, such as "loading the model", which ends the previous stage."""
    _LISTENER.get()(stage, 0)


def advance(size: int = 0) -> None:
    """Report progress within the stage: `size` bytes, or 0 for a part that is not counted in bytes."""
    _LISTENER.get()(None, size)
