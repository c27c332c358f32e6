"""The dataset of a job whose rows stay on their nodes: one shard for each node that offers them."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from atlas.content.store import ContentStore
from atlas.counts import counted
from atlas.data.local_data import LocalData
from atlas.documents.manifests import DatasetManifest, ShardManifest
from atlas.documents.stored import DocumentType, get_document, put_document
from atlas.errors import ContentError, DataError, SpecError
from atlas.ids import Cid
from atlas.spec.dataset import DatasetSpec
from atlas.spec.job import JobSpec
from chain_bridge.client.messages import Node
from chain_bridge.ledger import Ledger
from node_agent.presence.machine import NodeManifest

log = logging.getLogger(__name__)
MOST_DOCUMENT_BYTES = 2**20


class Offer(NamedTuple):
    """One node's registration of one of its datasets."""

    cid: Cid
    data: LocalData


def node_local_dataset(
    spec: JobSpec,
    store: ContentStore,
    cache: Path,
    ledger: Ledger,
    reference_rows: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> DatasetManifest:
    """One shard for each active node that offers the data, by address; the held-out rows come from elsewhere.

    The manifest is put into the store. Raises `DataError` when too few nodes offer the data or the held-out rows are
    not available, `ChainError` and `ContentError`.
    """
    dataset = spec.dataset
    offers = list(find_offers(ledger.nodes(), store, spec.payment.reward_per_task))
    chosen = choose_offers(dataset, offers)
    from atlas.data.prepare import prepare_holdout  # numpy, which most importers of this module do not need

    own = prepare_holdout(dataset, store, cache, spec.training.seed, on_progress, reference_rows)
    manifest = DatasetManifest(
        source=dataset.source,
        text_column=dataset.text_column,
        label_column=dataset.label_column,
        labels=dataset.labels,
        shards=[_shard(index, offer, claimed=not spec.fleet.trusted) for index, offer in enumerate(chosen)],
        holdout=own.holdout,
        reference=own.reference,
        skipped_rows=own.skipped_rows,
    )
    put_document(store, manifest)
    return manifest


def find_offers(nodes: list[Node], store: ContentStore, reward: int) -> Iterator[Offer]:
    """The datasets of the active compute nodes that work for this reward per task.

    A node whose documents are missing, malformed or about another node is skipped, which is logged.
    """
    for node in nodes:
        if node.status == "active" and node.kind == "compute":
            try:
                yield from _offers_of(node, store, reward)
            except (ContentError, SpecError, DataError) as error:
                log.warning("node %d offers no data to this job: %s", node.id, error)


def choose_offers(dataset: DatasetSpec, offers: list[Offer]) -> list[Offer]:
    """The offers of this dataset with the columns that the job needs, one per node, by address.

    Raises `DataError`, with the nodes that offer it, when they are fewer than `shard_by.nodes`.
    """
    name, wanted = dataset.node_local, dataset.shard_by.nodes or 1
    named = {offer.data.address: offer for offer in reversed(offers) if offer.data.name == name}
    needed = {"text"} if dataset.label_column is None else {"label", "text"}
    chosen = [named[address] for address in sorted(named) if needed <= named[address].data.columns.keys()]
    if len(chosen) >= wanted:
        return chosen
    unlabelled = sorted(named.keys() - {offer.data.address for offer in chosen})
    others = sorted({offer.data.name for offer in offers} - {name})
    raise DataError(
        f"{dataset.source}: shard_by.nodes requires {counted(wanted, 'node')} that offer this data, found "
        f"{len(chosen)} ({_listed(chosen)})."
        + (f" The data of {', '.join(unlabelled)} has no labels, and the job needs labels." if unlabelled else "")
        + (f" Other data on offer: {', '.join(others)}." if others else "")
        + " Wait for more nodes, have their owners add it to `datasets` in their settings and restart them, or lower "
        "dataset.shard_by.nodes."
    )


def _offers_of(node: Node, store: ContentStore, reward: int) -> Iterator[Offer]:
    manifest = _read(node.manifest, store, NodeManifest)
    if manifest.address != node.owner:
        raise DataError(f"Its manifest names the address {manifest.address}, expected its owner {node.owner}.")
    if manifest.datasets and manifest.price > reward:
        raise DataError(f"Its price is {manifest.price} per task, and the job pays {reward}.")
    for cid in manifest.datasets:
        data = _read(cid, store, LocalData)
        if data.address != node.owner:
            raise DataError(f"The dataset {cid} is registered by {node.owner}, but belongs to {data.address}.")
        yield Offer(cid, data)


def _read(cid: Cid, store: ContentStore, kind: type[DocumentType]) -> DocumentType:
    """Read an untrusted document; raises `DataError` for one that is too large to read safely."""
    size = store.stat(cid).size
    if size > MOST_DOCUMENT_BYTES:
        raise DataError(f"{cid} has {size} bytes; a {kind.__name__} has at most {MOST_DOCUMENT_BYTES}.")
    return get_document(store, cid, kind)


def _shard(index: int, offer: Offer, claimed: bool) -> ShardManifest:
    return ShardManifest(
        key=f"s{index:03d}",
        cid=offer.cid,
        form="node-local",
        node=offer.data.address,
        claimed=claimed,
        rows=offer.data.rows,
        bytes=0,
    )


def _listed(offers: list[Offer]) -> str:
    return ", ".join(offer.data.address for offer in offers) or "none"
