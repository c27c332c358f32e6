"""What long work reports while it goes on, and who gets to know of it."""

import asyncio

from atlas import activity
from atlas.content.format.cid import cid_of_file
from atlas.content.local.store import LocalStore


def heard_in(work):
    """What `work` reports."""
    reports = []
    with activity.listening(lambda stage, size: reports.append((stage, size))):
        work()
    return reports


def test_a_report_reaches_the_listener_of_its_context_and_no_other():
    def work():
        activity.begin("loading the model")
        activity.advance(7)

    assert heard_in(work) == [("loading the model", 0), (None, 7)]
    work()  # nobody listens any more, and nothing fails


async def test_what_a_context_starts_in_a_thread_or_as_a_task_reports_to_it():
    reports = []

    async def as_a_task():
        activity.advance(2)

    with activity.listening(lambda stage, size: reports.append(size)):
        await asyncio.to_thread(activity.advance, 1)
        await asyncio.create_task(as_a_task())
    assert reports == [1, 2]


def test_every_mebibyte_of_a_file_that_is_hashed_or_copied_is_reported(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(bytes(5 << 19))
    assert [size for _, size in heard_in(lambda: cid_of_file(path))] == [1 << 20, 1 << 20, 1 << 19]
    copied = heard_in(lambda: LocalStore(tmp_path / "store").put(path))
    assert sum(size for _, size in copied) >= 5 << 19
