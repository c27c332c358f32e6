"""The update of a round's reference rows, which some robust rules need: the coordinator trains it itself."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from atlas.content.store import is_kept
from atlas.counts import counted
from atlas.ids import Cid
from resources.jobs.local_tasks import TrainUpdate, train_update
from resources.keys.sealed_rows import open_rows
from resources.rounds.round import Round
from resources.rounds.tasks import reference_task


def reference_update(
    round_: Round, on_progress: Callable[[str], None] = lambda text: None, train: TrainUpdate = train_update
) -> Cid | None:
    """CID of the update, trained once; None for a job whose dataset has no reference rows. Blocks.

    Raises what `train` raises, and as `open_rows` does.
    """
    job, home, store = round_.job, round_.home, round_.store
    rows = job.dataset.reference
    if rows is None:
        return None
    task = reference_task(job, round_.number, round_.base, rows)
    name = f"reference update {task.task_id}"
    known = round_.registry.own_work(name)
    if known is not None and is_kept(store, known):
        return known
    on_progress(f"Training the reference update of round {round_.number} on {counted(rows.rows, 'row')}.")
    with tempfile.TemporaryDirectory() as opened, tempfile.TemporaryDirectory() as folder:
        data = open_rows(rows, job.spec.dataset, home, store, Path(opened))
        update = store.put(train(task, data, store, home.root / "cache", Path(folder)))
    round_.registry.record_own_work(name, update)
    return update
