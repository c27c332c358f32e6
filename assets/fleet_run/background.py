"""Iterate over asynchronous work from a plain function, with the event loop in a separate thread.

Dagster would run the event loop of an `async` asset in the main thread. There, a signal raises its exception inside
the running callback; asyncio stores it in the callback's task, and the run continues despite Ctrl-C. With the loop
in another thread, a signal reaches only the main thread. The loop also keeps serving the bus while Dagster writes
its events.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


class _Ended:
    """The last item in the queue: the error that ended the iteration, or None."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def iterate_in_background(source: Callable[[Callable[[T], None]], AsyncIterator[T]]) -> Iterator[T]:
    """Yield the items of an asynchronous iterator, in order; raise its exception if it fails.

    `source` receives a function that adds further items from inside the loop. When this generator is closed or
    interrupted, the iterator is cancelled and its clean-up awaited.
    """
    found: SimpleQueue[T | _Ended] = SimpleQueue()
    loop = asyncio.new_event_loop()

    async def pump() -> None:
        async with aclosing(source(found.put)) as items:  # type: ignore[type-var]
            async for item in items:
                found.put(item)

    def run(task: asyncio.Task[None]) -> None:
        asyncio.set_event_loop(loop)
        error: BaseException | None = None
        try:
            loop.run_until_complete(task)
        except BaseException as raised:
            error = raised
        found.put(_Ended(error))

    task = loop.create_task(pump())
    thread = Thread(target=run, args=(task,), name="atlas-fleet", daemon=True)
    thread.start()
    try:
        while not isinstance(item := found.get(), _Ended):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
