"""Jobs on data that stays on its nodes: who offers it, who works on what, and what a claim of rows is worth."""

import asyncio
from contextlib import aclosing

import pytest

from atlas.content.format.cid import cid_of_bytes
from atlas.data.local_data import LocalData, commit_rows
from atlas.documents.manifests import DatasetManifest, ShardManifest
from atlas.documents.stored import get_document, put_document
from atlas.errors import DataError, VerificationError
from atlas.rounds.checkpoint import aggregate_round
from atlas.spec.dataset import DatasetSpec
from atlas.spec.job import TrainingSpec
from atlas.verification.checkpoint import verify_checkpoint
from node_agent.presence.machine import NodeManifest
from resources.dispatch.outcomes import CompletedTask, LostTask
from resources.jobs.node_local import MOST_DOCUMENT_BYTES, Offer, choose_offers, find_offers
from resources.jobs.open_job import open_job, read_dataset
from resources.jobs.registry import JobRegistry
from resources.rounds.evidence import trained_tokens
from resources.rounds.scoring import manifest_of
from resources.rounds.tasks import training_tasks
from tests.support.jobs.scripted_nodes import completes, fails
from tests.support.jobs.whole_rounds import run, train_round

REWARD = 100_000
NOTES = {"source": "node-local:notes", "labels": ["negative", "positive"], "shard_by": {"nodes": 2}}


def local_data(address: str, rows: int = 5, name: str = "notes", labelled: bool = True) -> LocalData:
    return commit_rows(name, address, labelled, (b"%d" % number for number in range(rows)), b"s" * 32)


def node_manifest(address: str, datasets: list[str], price: int = 0) -> NodeManifest:
    return NodeManifest(
        address=address,
        version="1",
        platform="x",
        cpu="x",
        cores=1,
        memory_bytes=1,
        gpus=[],
        slots=1,
        datasets=datasets,
        price=price,
    )


async def offer(node, *data: LocalData, address: str | None = None) -> None:
    """Register a node's data as its agent does."""
    cids = [put_document(node.store, one) for one in data]
    await register(node, put_document(node.store, node_manifest(address or node.key.address, cids)))


async def register(node, manifest: str) -> None:
    await asyncio.to_thread(node.ledger.update_node, 8, manifest, node.key.public_key)


@pytest.fixture
def notes(paper_spec, tiny_csv):
    def spec(**changes):
        dataset = {**NOTES, "holdout_source": str(tiny_csv), "holdout_rows": 20, **changes.pop("dataset", {})}
        return paper_spec(dataset=dataset, **changes)

    return spec


@pytest.fixture
async def sites(add_node):
    """Two nodes with data, of 5 and 500 rows."""
    nodes = [await add_node(), await add_node()]
    for node, rows in zip(nodes, (5, 500), strict=True):
        await offer(node, local_data(node.key.address, rows))
    return nodes


def found(place):
    return {one.data.address: one for one in find_offers(place.ledger.nodes(), place.store, REWARD)}


async def test_a_job_has_one_shard_for_each_node_that_offers_the_data(place, notes, sites, add_node):
    await add_node()  # offers nothing
    job = place.open(notes())
    by_address = sorted(sites, key=lambda node: node.key.address)
    assert [(shard.key, shard.node, shard.form) for shard in job.dataset.shards] == [
        (f"s00{index}", node.key.address, "node-local") for index, node in enumerate(by_address)
    ]
    for shard in job.dataset.shards:
        registered = get_document(place.store, shard.cid, LocalData)
        assert (registered.address, registered.rows, shard.bytes, shard.tokens) == (shard.node, shard.rows, 0, None)
    assert (job.dataset.holdout.form, job.dataset.holdout.rows) == ("rows", 20)
    assert [job.only_node(slot) for slot in range(3)] == [*(node.key.address for node in by_address), None]
    assert get_document(place.store, job.dataset_cid, DatasetManifest) == job.dataset


async def test_a_job_keeps_the_data_that_it_was_opened_with(place, notes, sites, add_node, tmp_path):
    job = place.open(notes())
    late = await add_node()
    await offer(late, local_data(late.key.address))
    await offer(sites[0], local_data(sites[0].key.address, 6))
    assert read_dataset(notes(), place.home, place.store, place.ledger) == job.dataset
    registry = JobRegistry(tmp_path / "new.db")
    assert open_job(notes(), place.home, place.store, registry, place.ledger, make_adapter=place.made.make) == job
    other = place.open(notes(name="later"))
    assert sorted(shard.rows for shard in other.dataset.shards) == [5, 6, 500]


async def test_too_few_nodes_are_counted_and_named(place, notes, sites):
    with pytest.raises(DataError, match="requires 3 nodes that offer this data, found 2") as caught:
        place.open(notes(dataset={"shard_by": {"nodes": 3}}))
    assert all(node.key.address in str(caught.value) for node in sites)
    with pytest.raises(DataError, match=r"that offer this data, found 0 \(none\)\. Other data on offer: notes\."):
        place.open(notes(dataset={"source": "node-local:scans"}))
    assert place.ledger.jobs() == []


async def test_a_node_speaks_for_itself_alone_and_within_its_price(place, sites, add_node):
    honest = found(place)
    thief, impostor, garbled, bloated, dear = [await add_node() for _ in range(5)]
    await offer(thief, local_data(sites[0].key.address))
    await offer(impostor, local_data(sites[0].key.address), address=sites[0].key.address)
    await register(garbled, place.store.put(b"{}"))
    await register(bloated, place.store.put(b" " * (MOST_DOCUMENT_BYTES + 1)))
    own = put_document(place.store, local_data(dear.key.address))
    await register(dear, put_document(place.store, node_manifest(dear.key.address, [own], price=REWARD + 1)))
    assert found(place) == honest
    assert honest.keys() == {node.key.address for node in sites}
    await asyncio.to_thread(place.store.fetch(honest[sites[0].key.address].cid).unlink)
    assert found(place).keys() == {sites[1].key.address}


def test_offers_are_chosen_by_name_columns_and_address():
    spec = DatasetSpec.model_validate({**NOTES, "holdout_source": "rows.csv"})
    offers = [
        Offer(data.cid, data)
        for data in (
            local_data("atlas1c"),
            local_data("atlas1a"),
            local_data("atlas1a", rows=9),
            local_data("atlas1b", labelled=False),
            local_data("atlas1d", name="scans"),
        )
    ]
    assert [one.data for one in choose_offers(spec, offers)] == [local_data("atlas1a"), local_data("atlas1c")]
    unlabelled = spec.model_copy(update={"label_column": None})
    assert [one.data.address for one in choose_offers(unlabelled, offers)] == ["atlas1a", "atlas1b", "atlas1c"]
    three = spec.model_copy(update={"shard_by": spec.shard_by.model_copy(update={"nodes": 3})})
    with pytest.raises(DataError, match="The data of atlas1b has no labels"):
        choose_offers(three, offers)


async def test_each_node_trains_on_its_own_data_also_after_it_failed(place, notes, sites, add_node, bus):
    async def fails_once(node, task, hint, count):
        return await (fails if task.attempt == 1 else completes)(node, task, hint, count)

    await add_node()  # idle all along, and no help
    sites[0].behaviour = fails_once
    job = place.open(notes())
    outcomes = await run(place, bus, job, 1, training_tasks(job, 1, job.untrained))
    nodes = {node.node_id: node.key.address for node in sites}
    assert all(isinstance(one, CompletedTask) for one in outcomes), outcomes
    assert {one.task.slot: nodes[one.node_id] for one in outcomes} == {slot: job.only_node(slot) for slot in (0, 1)}
    assert all(one.task.form == "node-local" for one in outcomes)
    assert sorted(one.task.attempt for one in outcomes) == [1, 2]


async def test_a_slot_whose_node_is_gone_is_lost_after_the_patience(place, notes, sites, bus):
    job = place.open(notes())
    gone = sites[0]
    await gone.die()
    dispatcher = await place.dispatcher(bus, patience_seconds=0.3)
    async with aclosing(dispatcher.run(job, 1, training_tasks(job, 1, job.untrained))) as running:
        outcomes = [outcome async for outcome in running]
    (lost,) = [one for one in outcomes if isinstance(one, LostTask)]
    assert job.only_node(lost.task.slot) == gone.key.address
    assert f"the node of {gone.key.address}, the only one with the data, is not available" in lost.reason
    (done,) = [one for one in outcomes if isinstance(one, CompletedTask)]
    assert done.node_id == sites[1].node_id


@pytest.mark.parametrize(("trusted", "weights"), [(False, {1}), (True, {5, 500})])
async def test_rows_weigh_only_where_the_nodes_are_believed(place, notes, sites, bus, trusted, weights):
    job = place.open(notes(fleet={"trusted": trusted}))
    checkpoint = await train_round(place, bus, job, 1)
    manifest = manifest_of(checkpoint, place.store)
    assert {update.weight for update in manifest.updates} == weights
    assert {shard.claimed for shard in job.dataset.shards} == {not trusted}
    assert [one.round for one in verify_checkpoint(checkpoint, place.store)] == [1, 0]
    heavy = manifest.updates[0].model_copy(update={"weight": 7})
    forged, _ = aggregate_round(manifest.model_copy(update={"updates": [heavy, manifest.updates[1]]}), place.store)
    with pytest.raises(VerificationError, match="but its update was weighted with 7"):
        verify_checkpoint(forged, place.store)


@pytest.mark.parametrize("rows", [1, 7, 10**12])
def test_no_claim_of_rows_raises_a_node_s_pay(rows):
    training = TrainingSpec(steps=10, batch_size=4, gradient_accumulation=2)
    cid = cid_of_bytes(b"any")
    shard = ShardManifest(key="s000", cid=cid, form="node-local", node="atlas1a", claimed=True, rows=rows, bytes=0)
    assert (trained_tokens(training, shard), shard.weight) == (80, 1)
