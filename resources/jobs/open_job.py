"""Opening a job: everything is checked before anything is written on chain, and a restart adopts what exists."""

from collections.abc import Callable

from atlas.content.store import ContentStore
from atlas.counts import counted
from atlas.data.warnings import dataset_warnings
from atlas.documents.manifests import DatasetManifest
from atlas.documents.stored import get_document, put_document
from atlas.errors import SpecError
from atlas.home import AtlasHome
from atlas.models.files import model_manifest
from atlas.spec.job import JobSpec
from atlas.spec.recorded_forms import recorded_forms
from chain_bridge.client.messages import Job
from chain_bridge.errors import ContractRefused
from chain_bridge.ledger import Ledger
from resources.errors import OtherContract
from resources.jobs.local_tasks import MakeAdapter, make_untrained_adapter
from resources.jobs.node_local import node_local_dataset
from resources.jobs.opened import OpenJob, load_job
from resources.jobs.order_checks import (
    check_balance,
    check_budget,
    check_model_limits,
    check_shard_ranks,
    reference_rows,
)
from resources.jobs.registry import JobRegistry, JobRow
from resources.jobs.taken_names import refuse_other_order
from resources.jobs.untrained import untrained_adapter
from resources.keys.sealed_rows import sealer_for


def open_job(
    spec: JobSpec,
    home: AtlasHome,
    store: ContentStore,
    registry: JobRegistry,
    ledger: Ledger,
    on_progress: Callable[[str], None] = lambda text: None,
    make_adapter: MakeAdapter = make_untrained_adapter,
    on_reading: Callable[[str], None] = lambda text: None,
) -> OpenJob:
    """Open a job, or load the one of this name and order; `on_progress` gets each step as a sentence.

    `on_reading` is called often, with the number of rows read so far in a sentence.

    Raises `SpecError` for a taken name, a `max_length` beyond the model's or a rank for an unknown shard, `BudgetError`
    for a budget below the promised payments, `InsufficientFunds` if the operator cannot pay the budget, `ModelError` or
    `DataError` for a model or dataset that differs from the spec, what `make_adapter` raises, and `OtherContract`.
    Until the last of these checks has passed, nothing is written on chain.
    """
    from atlas.rounds.checkpoint import (
        untrained_checkpoint,  # numpy, which most importers of this module do not need
    )

    contract = ledger.contract
    known = registry.job(spec.name)
    if known is not None:
        refuse_other_order(known, spec, store)
        return load_job(spec.name, store, registry, contract)
    spec = _form_on_chain(spec, ledger)
    on_progress(f"Checking the files of {spec.model.source}.")
    model = model_manifest(spec.model.source, spec.model.revision, home.root / "cache")
    check_model_limits(spec, model.revision, home)
    dataset = read_dataset(spec, home, store, ledger, on_progress, on_reading)
    check_shard_ranks(spec, [shard.key for shard in dataset.shards])
    check_budget(spec, len(dataset.shards))
    adapter = untrained_adapter(spec, model, home, store, registry, on_progress, make_adapter)
    row = JobRow(
        name=spec.name,
        spec_cid=put_document(store, spec),
        model_cid=put_document(store, model),
        dataset_cid=dataset.cid,
        genesis_cid=put_document(store, untrained_checkpoint(spec.cid, adapter)),
        contract=contract,
        job_id=_job_on_chain(spec, dataset, ledger).id,
    )
    registry.save_job(row)
    on_progress(f"Job {spec.name} is number {row.job_id} on chain, with {spec.payment.budget} in escrow.")
    return load_job(spec.name, store, registry, contract)


def read_dataset(
    spec: JobSpec,
    home: AtlasHome,
    store: ContentStore,
    ledger: Ledger,
    on_progress: Callable[[str], None] = lambda text: None,
    on_reading: Callable[[str], None] = lambda text: None,
) -> DatasetManifest:
    """Cut a job's dataset into shards, as `open_job` does; the same rows and spec give the same manifest.

    Node-local data is read from the nodes' current offers, and sealed data is sealed with the newest key. Both may
    change, so once such a job is on chain, the dataset recorded there is returned.
    """
    source, cache, seed = spec.dataset.source, home.root / "cache", spec.training.seed
    kept_back = reference_rows(spec)

    def told(rows: int) -> None:
        on_reading(f"Read {counted(rows, 'row')} of {spec.dataset.holdout_source or source}.")

    changing = spec.dataset.node_local is not None or spec.dataset.keyring is not None
    opened = ledger.job_of(ledger.address, _key(_form_on_chain(spec, ledger))) if changing else None
    on_progress(f"Reading {source}.")
    if opened is not None and store.has(opened.dataset):
        manifest = get_document(store, opened.dataset, DatasetManifest)
    elif spec.dataset.node_local is None:
        seal = sealer_for(spec.dataset, home)
        from atlas.data.prepare import prepare_dataset

        manifest = prepare_dataset(spec.dataset, store, cache, seed, told, kept_back, seal)
    else:
        manifest = node_local_dataset(spec, store, cache, ledger, kept_back, told)
    rows, held_out = sum(shard.rows for shard in manifest.shards), manifest.holdout.rows
    on_progress(
        f"{source} has {counted(rows, 'row')} in {counted(len(manifest.shards), 'shard')}, and {held_out:,} held out."
    )
    for warning in dataset_warnings(manifest):
        on_progress(f"Warning: {warning}")
    return manifest


def _key(spec: JobSpec) -> str:
    """The job's key on chain, unique among the jobs of its owner."""
    return f"{spec.name}@{spec.cid}"


def _form_on_chain(order: JobSpec, ledger: Ledger) -> JobSpec:
    """The form of the order under which the job is on chain; for a new job the form to open it with."""
    forms = recorded_forms(order)
    return next((form for form in forms if ledger.job_of(ledger.address, _key(form)) is not None), forms[0])


def _job_on_chain(spec: JobSpec, dataset: DatasetManifest, ledger: Ledger) -> Job:
    """The job with this spec's key, created if it does not exist yet."""
    key = _key(spec)
    found = ledger.job_of(ledger.address, key) or _create(key, spec, dataset, ledger)
    if found.dataset != dataset.cid:
        raise SpecError(
            f"Job {spec.name!r} is on chain with dataset {found.dataset}, but {spec.dataset.source} now gives "
            f"{dataset.cid}: its rows have changed, or another version of Atlas cut them. Restore them, or choose "
            "another name for the job."
        )
    return found


def _create(key: str, spec: JobSpec, dataset: DatasetManifest, ledger: Ledger) -> Job:
    check_balance(spec, ledger.address, ledger.balance(ledger.address), ledger.network.denom)
    try:
        ledger.create_job(
            key=key,
            spec=spec.cid,
            dataset=dataset.cid,
            shards=len(dataset.shards),
            rounds=spec.rounds,
            reward=spec.payment.reward_per_task,
            lease_seconds=spec.fleet.lease_seconds,
            escrow=spec.payment.budget,
        )
    except ContractRefused:
        if ledger.job_of(ledger.address, key) is None:  # else another process of ours was first
            raise
    created = ledger.job_of(ledger.address, key)
    if created is None:
        raise OtherContract(
            f"The chain accepted job {key!r} and no longer has it: the chain was reset in the meantime. Run the job "
            "again."
        )
    return created
