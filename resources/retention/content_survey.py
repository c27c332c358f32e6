"""Collects the uses of content from the registry, the chain and the documents themselves. Blocking."""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass

from atlas.content.store import ContentStore, KeptStore
from atlas.documents.manifests import Checkpoint
from atlas.documents.stored import get_document
from atlas.errors import ContentError, ContentNotFound, SpecError
from atlas.ids import Cid, JobId
from chain_bridge.client.messages import Job, RegisteredModel, Round
from chain_bridge.client.network import Network
from chain_bridge.client.queries import Queries
from chain_bridge.errors import ChainUnreachable
from chain_bridge.ledger import Ledger
from node_agent.presence.machine import NodeManifest
from resources.jobs.registry import JobRegistry, JobRow
from resources.retention.content_uses import JobWalk
from resources.retention.retention import JobUses, Reason, Survey
from resources.retention.stray_documents import LARGEST, follow_strays


@dataclass(frozen=True)
class ChainFacts:
    """The chain's records of the coordinator's jobs, and of content that belongs to no job."""

    contract: str
    jobs: Mapping[JobId, Job]
    rounds: Mapping[JobId, Sequence[Round]]
    models: Sequence[RegisteredModel]
    node_manifests: Sequence[Cid]


def ask_network(network: Network | None, registry: JobRegistry) -> ChainFacts | None:
    """The facts on the chain of `network`; None without a network, or when its chain does not answer."""
    if network is None:
        return None
    with Ledger(network) as ledger:
        return ask_chain(ledger, registry)


def ask_chain(ledger: Queries, registry: JobRegistry) -> ChainFacts | None:
    """The facts, or None when the chain does not answer: then every job counts as open."""
    try:
        contract, jobs = ledger.contract, {job.id: job for job in ledger.jobs()}
        ours = [row.job_id for row in registry.jobs() if row.contract == contract and row.job_id in jobs]
        return ChainFacts(
            contract=contract,
            jobs=jobs,
            rounds={number: ledger.rounds(number) for number in ours},
            models=ledger.models(),
            node_manifests=[node.manifest for node in ledger.nodes()],
        )
    except ChainUnreachable:
        return None


def _refuse(row: JobRow, error: ContentError) -> None:
    raise error


def survey(
    store: KeptStore,
    peek: Callable[[Cid], bytes | None],
    registry: JobRegistry,
    chain: ChainFacts | None,
    on_unreadable: Callable[[JobRow, ContentError], None] = _refuse,
) -> Survey:
    """The uses of a store's content; `peek` reads a local copy without marking it as used.

    Raises `ContentError` when a document that defines a job is missing, or a required content store does not answer:
    the needed content would then be unknown. An `on_unreadable` that returns leaves out the job instead.
    """
    found: list[tuple[JobWalk, str | None]] = []
    for row in registry.jobs():
        held_by = why_held(row, chain)
        walk = JobWalk(row, held_by is None, store, registry)
        if walk.is_here():  # else it belongs to another network, whose content is elsewhere
            try:
                walk.follow_all(_submitted(chain, row))
            except ContentError as error:
                on_unreadable(row, error)
            else:
                found.append((walk, held_by))
    held = {one.cid: one.size for one in store.held()}
    others = _models(store, registry, chain) | _node_manifests(store, held, chain)
    named = {use.cid for walk, _ in found for use in walk.uses} | others.keys()
    strays = sorted(cid for cid, size in held.items() if size <= LARGEST and cid not in named)
    follow_strays(strays, peek, [walk for walk, _ in found])
    return Survey(tuple(JobUses(walk.row.name, held_by, walk.uses) for walk, held_by in found), others)


def why_held(row: JobRow, chain: ChainFacts | None) -> str | None:
    """Why everything of a job stays; None when it is closed or cancelled, and every round of it is settled."""
    if chain is None:
        return "may be open: the chain does not answer"
    job = chain.jobs.get(row.job_id)
    if not _knows(chain, row) or job is None:
        return f"may be open: it is on contract {row.contract}, which was not queried"
    if job.state == "open":
        return "is open"
    for one in chain.rounds.get(row.job_id, ()):
        if one.settled_at is None or one.open_challenges:
            return f"is {job.state}, but its round {one.round} is not settled"
    return f"is {job.state}, but a round of it is not paid" if job.reserved else None


def _submitted(chain: ChainFacts | None, row: JobRow) -> Sequence[Round]:
    return chain.rounds.get(row.job_id, ()) if chain is not None and _knows(chain, row) else ()


def _knows(chain: ChainFacts | None, row: JobRow) -> bool:
    return chain is not None and chain.contract == row.contract


def _models(store: ContentStore, registry: JobRegistry, chain: ChainFacts | None) -> dict[Cid, Reason]:
    """The files of models that are promoted, or registered under another name than their job's.

    Every round is registered under its job's name as well; that registration keeps nothing.
    """
    names = {row.job_id: row.name for row in registry.jobs() if _knows(chain, row)}
    found: dict[Cid, Reason] = {}
    for model in chain.models if chain else ():
        own = names.get(model.job) == model.name and model.status != "promoted"
        if own or model.status == "deprecated" or model.job not in names:
            continue
        because = f"model {model.name} {model.version} is {model.status}"
        found[model.cid] = Reason(because, "checkpoint")
        checkpoint = _checkpoint(store, model.cid)
        if checkpoint is not None:
            files = [checkpoint.adapter, *checkpoint.merged, *([checkpoint.optimizer] if checkpoint.optimizer else [])]
            found |= {cid: Reason(because, "file of the checkpoint") for cid in files}
    return found


def _checkpoint(store: ContentStore, cid: Cid) -> Checkpoint | None:
    """The checkpoint with a model's CID; None for a model that is no checkpoint of this coordinator."""
    try:
        return get_document(store, cid, Checkpoint)
    except (ContentNotFound, SpecError):
        return None


def _node_manifests(store: ContentStore, held: Container[Cid], chain: ChainFacts | None) -> dict[Cid, Reason]:
    """The local copies of node manifests, and the documents on node-local data that they name."""
    found: dict[Cid, Reason] = {}
    for cid in chain.node_manifests if chain else ():
        if cid not in held:
            continue
        found[cid] = Reason("nodes are registered", "node manifest")
        try:
            datasets = get_document(store, cid, NodeManifest).datasets
        except (ContentError, SpecError):
            continue  # a node may register any CID, also one that is no manifest
        found |= {data: Reason("nodes are registered", "data that stays on a node") for data in datasets}
    return found
