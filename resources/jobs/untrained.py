"""The adapter of round 0: computed once per job, even if opening the job is retried."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from atlas.content.store import ContentStore, is_kept
from atlas.documents.manifests import ModelManifest
from atlas.home import AtlasHome
from atlas.ids import Cid
from atlas.spec.job import JobSpec
from resources.jobs.local_tasks import MakeAdapter
from resources.jobs.registry import JobRegistry


def untrained_adapter(
    spec: JobSpec,
    model: ModelManifest,
    home: AtlasHome,
    store: ContentStore,
    registry: JobRegistry,
    on_progress: Callable[[str], None],
    make: MakeAdapter,
) -> Cid:
    """CID of the untrained adapter, which is in the store; raises what `make` raises."""
    name = f"untrained adapter of {spec.cid} on {model.cid}"
    known = registry.own_work(name)
    if known is not None and is_kept(store, known):
        return known
    on_progress("Computing the untrained adapter.")
    with tempfile.TemporaryDirectory() as folder:
        adapter = store.put(make(spec, model, home.root / "cache", Path(folder)))
    registry.record_own_work(name, adapter)
    return adapter
