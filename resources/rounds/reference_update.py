"""The update of a round's reference rows, which some robust rules need: the coordinator trains it itself."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from atlas.content.store import ContentStore, is_kept
from atlas.counts import counted
from atlas.home import AtlasHome
from resources.jobs.local_tasks import TrainUpdate, train_update
from resources.jobs.open_job import OpenJob
from resources.jobs.registry import JobRegistry
from resources.keys.sealed_rows import open_rows
from resources.rounds.steps import reference_task


def reference_update(
    job: OpenJob,
    number: int,
    base: str,
    home: AtlasHome,
    store: ContentStore,
    registry: JobRegistry,
    on_progress: Callable[[str], None] = lambda text: None,
    train: TrainUpdate = train_update,
) -> str | None:
    """CID of the update, trained once; None for a job whose dataset has no reference rows. Blocks.

    Raises what `train` raises, and as `open_rows` does.
    """
    rows = job.dataset.reference
    if rows is None:
        return None
    task = reference_task(job, number, base, rows)
    name = f"reference update {task.task_id}"
    known = registry.own_work(name)
    if known is not None and is_kept(store, known):
        return known
    on_progress(f"Training the reference update of round {number} on {counted(rows.rows, 'row')}.")
    with tempfile.TemporaryDirectory() as opened, tempfile.TemporaryDirectory() as folder:
        data = open_rows(rows, job.spec.dataset, home, store, Path(opened))
        update = store.put(train(task, data, store, home.root / "cache", Path(folder)))
    registry.record_own_work(name, update)
    return update
