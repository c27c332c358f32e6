"""The lock of a job: one run at a time works on the rounds of a job, however the run was launched."""

from collections.abc import Iterator
from contextlib import contextmanager

from atlas.disk.locks import try_exclusive
from atlas.home import AtlasHome
from resources.errors import CoordinatorError, JobAtWork


@contextmanager
def job_lock(job: str, home: AtlasHome, run_id: str) -> Iterator[None]:
    """Hold a job for a run; raises `JobAtWork`, which names the other run, while another run holds it.

    The kernel releases the lock when the process ends, even by a crash.
    """
    path = home.job_lock(job)
    with try_exclusive(path, CoordinatorError) as mine:
        if not mine:
            raise JobAtWork(
                f"Job {job!r} is in progress in run {path.read_text(encoding='utf-8') or '(starting)'}. Wait until "
                "that run ends, or terminate it in the Dagster UI."
            )
        path.write_text(run_id, encoding="utf-8")  # in place: a renamed file would be another lock
        yield
