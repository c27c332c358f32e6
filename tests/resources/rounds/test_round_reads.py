"""What one run of a round reads, parses, aggregates and queries: the assets in one process, on a real store and chain.

The nodes are scripted and have a store of their own, so every count is the coordinator's.
"""

import asyncio
import shutil
from collections import Counter

import dagster as dg
import pytest
import yaml

from assets import partitions
from assets.aggregated_checkpoint import aggregated_checkpoint
from assets.base_checkpoint import base_checkpoint
from assets.evaluation import evaluation
from assets.fleet_run.progress import RoundProgress
from assets.recorded.records import recorded_version
from assets.reward_settlement import reward_settlement
from assets.round_manifest import round_manifest
from atlas.aggregation import coefficients
from atlas.content.format.cid import cid_of_bytes
from atlas.content.local.store import LocalStore
from atlas.documents.manifests import RoundManifest
from atlas.documents.stored import get_document
from atlas.errors import CorruptContent
from atlas.rounds import checkpoint
from chain_bridge.ledger import Ledger
from resources.content import ContentResource
from resources.coordinator import CoordinatorResource
from resources.fleet import FleetResource
from resources.ledger import LedgerResource
from resources.rounds.held_rounds import HeldRounds
from tests.support.jobs.scripted_nodes import adapter_bytes
from tests.support.jobs.whole_rounds import run

NO_DOCUMENT = cid_of_bytes(b"a scripted node")
"""What scripted nodes have for a manifest; it cannot be parsed, so it cannot be held."""
ASSETS = [base_checkpoint, round_manifest, aggregated_checkpoint, evaluation, reward_settlement]


class Counts:
    """What the coordinator has done in one run."""

    def __init__(self) -> None:
        self.fetched: Counter[str] = Counter()
        """Files that the store read and hashed whole, by CID."""
        self.parsed: Counter[str] = Counter()
        """Documents that were read, hashed and parsed, by CID."""
        self.asked: Counter[int] = Counter()
        """Queries of the chain for the outcome of a round, by its number."""
        self.calls: Counter[str] = Counter()
        """Calls of counted functions, by name."""

    def clear(self) -> None:
        for counter in (self.fetched, self.parsed, self.asked, self.calls):
            counter.clear()


class CountingStore(LocalStore):
    """A store that counts what it reads and hashes."""

    def __init__(self, root, counts: Counts) -> None:
        super().__init__(root)
        self._counts = counts

    def fetch(self, cid):
        self._counts.fetched[cid] += 1
        return super().fetch(cid)

    def read(self, cid):
        self._counts.parsed[cid] += 1
        return super().read(cid)


@pytest.fixture
def counts(monkeypatch) -> Counts:
    counts = Counts()
    monkeypatch.setattr("resources.content.open_kept_store", lambda content, own: CountingStore(content, counts))
    for module, name in ((checkpoint, "aggregate_files"), (coefficients, "flat_gram")):
        compute = getattr(module, name)

        def counted(*arguments, name=name, compute=compute):
            counts.calls[name] += 1
            return compute(*arguments)

        monkeypatch.setattr(module, name, counted)
    ask = Ledger.round

    def asked(ledger, job, number):
        counts.asked[number] += 1
        return ask(ledger, job, number)

    monkeypatch.setattr(Ledger, "round", asked)
    return counts


@pytest.fixture
def resources(place, servers, tmp_path):
    """Dagster's resources over the coordinator of `place`."""
    path = tmp_path / "network.yaml"
    path.write_text(yaml.safe_dump(place.addresses.model_dump(mode="json")))
    key = place.home.operator_key
    key.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(servers.content.parent / "keys" / "operator.key", key)
    coordinator = CoordinatorResource(atlas_home=str(place.home.root), network_file=str(path))
    return {
        "coordinator": coordinator,
        "fleet": FleetResource(coordinator=coordinator, poll_seconds=0.1),
        "content": ContentResource(coordinator=coordinator),
        "ledger": LedgerResource(coordinator=coordinator),
        "progress": RoundProgress(),
    }


async def run_round(instance, resources, job, number) -> None:
    key = partitions.round_key(job.name, number)
    instance.add_dynamic_partitions(partitions.ROUNDS, [key])
    await asyncio.to_thread(dg.materialize, ASSETS, instance=instance, resources=resources, partition_key=key)


async def trains_anew(node, task, hint, count):
    """Send other bytes in each round.

    A node that puts the bytes of an earlier update again marks that file as used, and it is then verified once more.
    """
    update = adapter_bytes(task.slot, scale=1 + task.round / 10) if task.kind == "train" else None
    return node.completed(task, update)


async def test_a_round_reads_parses_computes_and_asks_once(place, paper_spec, add_node, bus, counts, resources):
    """Without what a `Round` holds: each update 13 times, the job spec 21 times, 10 aggregations, 3 queries."""
    job = place.open(paper_spec(rounds=2))
    for _ in range(2):
        await add_node(trains_anew)
    with dg.DagsterInstance.ephemeral() as instance:
        for number in (1, 2):
            counts.clear()
            await run_round(instance, resources, job, number)
            key = partitions.round_key(job.name, number)
            manifest = get_document(place.store, recorded_version(instance, "round_manifest", key), RoundManifest)
            assert [counts.fetched[update.adapter] for update in manifest.updates] == [1] * 4
            assert {job.spec_cid, job.dataset_cid, manifest.cid, manifest.base} <= counts.parsed.keys()
            del counts.parsed[NO_DOCUMENT]
            assert max(counts.parsed.values()) == 1
            # The round's checkpoint, those without one update each, and the plain average beside the robust rule.
            assert counts.calls == {"aggregate_files": 1 + 4 + 1, "flat_gram": 1}
            assert counts.asked[number - 1] == number - 1  # round 1 starts from the untrained adapter
        ended = recorded_version(instance, "aggregated_checkpoint", partitions.round_key(job.name, 2))

    counts.clear()
    again = place.round(job, 2)
    assert again.settle(ended).settled
    assert again.plan_evaluation(ended).checkpoints[1] == ended
    assert counts.calls == {}, "the checkpoints without one update are those of the evaluation"


@pytest.mark.parametrize("step", ["gate", "aggregate", "plan_evaluation"])
async def test_an_update_that_changes_after_it_was_verified_is_not_used(place, paper_spec, add_node, bus, step):
    job = place.open(paper_spec())
    await add_node()
    round_ = place.round(job)
    outcomes = await run(place, bus, job, 1, round_.training_tasks(), check=round_.gate())
    manifest = round_.build_manifest(outcomes)
    ended = round_.aggregate(manifest).cid
    changed = manifest.updates[2].adapter
    path = round_.store.fetch(changed)
    path.chmod(0o644)
    path.write_bytes(adapter_bytes(9) + b" ")
    steps = {
        "gate": lambda: round_.build_manifest(outcomes),
        "aggregate": lambda: round_.aggregate(manifest),
        "plan_evaluation": lambda: round_.plan_evaluation(ended),
    }
    with pytest.raises(CorruptContent, match=changed):
        steps[step]()


def test_of_many_rounds_the_last_used_are_held(place, paper_spec):
    job = place.open(paper_spec())
    held = HeldRounds(most=2)
    first, second, third = (held.hold(place.round(job, number)) for number in (1, 2, 1))
    assert (held.get(job.name, 1), held.get(job.name, 2)) == (third, second)
    held.hold(place.round(job, 3))
    assert first is not third
    assert (held.get(job.name, 1), held.get(job.name, 2)) == (None, second)
    held.clear()
    assert held.get(job.name, 2) is None
