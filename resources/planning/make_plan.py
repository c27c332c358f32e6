"""Plan an order: the checks of opening its job, its data, its model and rows, and the nodes. The chain is only read."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from atlas.content.local.store import LocalStore
from atlas.content.store import ContentStore
from atlas.documents.manifests import ModelManifest
from atlas.home import AtlasHome
from atlas.models.files import model_manifest
from atlas.spec.job import JobSpec
from atlas.training.preview.documents import PreviewRequest, ShardRows
from node_agent.tasks.inputs import order_seed
from resources.jobs.order_checks import (
    check_balance,
    check_budget,
    check_order,
    check_shard_ranks,
)
from resources.jobs.registry import JobRegistry
from resources.jobs.taken_names import refuse_other_order
from resources.keys.keyring import KeyRings
from resources.planning.ask_preview import ask_preview
from resources.planning.compose import plan_of
from resources.planning.data import CutData, cut_data
from resources.planning.fleet import look_at_fleet
from resources.planning.plan import JobPlan
from resources.planning.speeds import measured_speeds
from resources.settings import Addresses

Say = Callable[[str], None]


def make_plan(
    order: JobSpec,
    home: AtlasHome,
    network: Addresses | None,
    store: ContentStore,
    on_progress: Say = lambda text: None,
    on_reading: Say = lambda text: None,
    environment: Mapping[str, str] = os.environ,
    clock: Callable[[], float] = time.time,
) -> JobPlan:
    """The plan of an order. `network` is the one that runs, None if none does; `store` is the coordinator's content.

    Downloads stay in the cache, as `atlas run` leaves them there; everything else is removed. Raises the errors of
    opening the job. `clock` gives seconds since the epoch.
    """
    registry = JobRegistry(home.jobs_database)
    taken = registry.job(order.name)
    if taken is not None:
        refuse_other_order(taken, order, store)
    with _cache(home) as cache, tempfile.TemporaryDirectory(dir=cache, prefix="plan-") as folder:
        check_order(order, home, on_progress)
        on_progress(f"Reading {order.dataset.source}.")
        rows = LocalStore(Path(folder))
        data = cut_data(order, rows, cache, on_reading)
        if data.shards:
            check_shard_ranks(order, [shard.key for shard in data.shards])
        check_budget(order, data.shard_count)
        fleet = look_at_fleet(network.network, home, store) if network else None
        if fleet is not None and fleet.account is not None and taken is None:
            check_balance(order, fleet.account.address, fleet.account.balance, fleet.network.denom)
        on_progress("Looking at the model and the rows.")
        model = model_manifest(order.model.source, order.model.revision, cache)
        preview = ask_preview(_request(order, model, data, rows, cache), environment)
    speeds = {}
    if fleet is not None:
        speeds = measured_speeds(model.cid, order.training.precision, fleet.contract, registry, store)
    return plan_of(order, data, preview, fleet, speeds, _revoked(order, home), clock())


@contextmanager
def _cache(home: AtlasHome) -> Iterator[Path]:
    """The cache; folders that are created for it and stay empty are removed at the end."""
    cache = home.root / "cache"
    created = [folder for folder in (cache, *cache.parents) if not folder.exists()]
    cache.mkdir(parents=True, exist_ok=True)
    try:
        yield cache
    finally:
        for folder in created:
            if any(folder.iterdir()):
                break
            folder.rmdir()


def _request(order: JobSpec, model: ModelManifest, data: CutData, rows: ContentStore, cache: Path) -> PreviewRequest:
    shards = [
        ShardRows(key=shard.key, rows=rows.fetch(shard.cid), seed=order_seed(order, shard.cid, 1))
        for shard in data.shards
    ]
    return PreviewRequest(
        spec=order,
        model=model,
        cache=cache,
        shards=shards,
        holdout=rows.fetch(data.holdout.cid),
        parent=os.getpid(),
    )


def _revoked(order: JobSpec, home: AtlasHome) -> list[str]:
    """The addresses that get no key of the data; none for a key ring that the job would create."""
    rings, name = KeyRings(home), order.dataset.keyring
    return rings.get(name).revoked if name is not None and name in rings.names() else []
