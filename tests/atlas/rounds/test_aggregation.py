"""One geometry for a round's checkpoint, its diagnostics and the checkpoints without one update."""

import numpy as np
import pytest
from safetensors.numpy import save

from atlas.aggregation import coefficients
from atlas.content.local.store import LocalStore
from atlas.content.verified import VerifiedStore
from atlas.documents.manifests import AcceptedUpdate, RoundManifest
from atlas.documents.stored import put_document
from atlas.errors import CorruptContent
from atlas.rounds.aggregation import RoundAggregation
from atlas.rounds.checkpoint import aggregate_round, untrained_checkpoint
from atlas.rounds.diagnose import diagnose_round
from atlas.spec.job import JobSpec

RANK = 4


def adapter(seed: int, rank: int = RANK) -> bytes:
    rng = np.random.default_rng(seed)
    shapes = {"query.lora_A.weight": (rank, 30), "query.lora_B.weight": (20, rank), "head.weight": (2, 30)}
    return save({name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()})


@pytest.fixture
def store(tmp_path):
    return VerifiedStore(LocalStore(tmp_path / "content"))


@pytest.fixture
def manifest_of(store):
    def manifest_of(ranks: list[int] | None = None, **aggregation) -> RoundManifest:
        spec = JobSpec.from_mapping(
            {
                "name": "tiny",
                "model": {"source": "package:minilm", "task": "sequence-classification"},
                "dataset": {"source": "rows.csv", "labels": ["no", "yes"], "shard_by": {"rows": 10}},
                "lora": {"rank": RANK, "target_modules": ["query"]},
                "aggregation": aggregation,
                "payment": {"budget": 1, "reward_per_task": 1},
            }
        )
        job, ranks = put_document(store, spec), ranks or [RANK] * 4
        updates = [
            AcceptedUpdate(
                shard=f"s{place:03d}", data=job, adapter=store.put(adapter(1 + place, rank)), weight=2 + place
            )
            for place, rank in enumerate(ranks)
        ]
        base = put_document(store, untrained_checkpoint(job, store.put(adapter(0))))
        return RoundManifest(job=job, round=1, base=base, strategy=spec.aggregation.strategy, updates=updates)

    return manifest_of


@pytest.fixture
def grams(monkeypatch) -> list[str]:
    """The computations of inner products so far."""
    made: list[str] = []
    for name in ("flat_gram", "product_gram"):
        compute = getattr(coefficients, name)

        def counted(*arguments, name=name, compute=compute):
            made.append(name)
            return compute(*arguments)

        monkeypatch.setattr(coefficients, name, counted)
    return made


SETTINGS = [
    {"strategy": "fedavg", "robust": {"rule": "centered-clipping"}},
    {"strategy": "fedavg", "robust": {"rule": "multi-krum", "bucket_size": 2, "tolerated": 0.2}},
    {"strategy": "qr-svd", "robust": {"rule": "spectral-filter"}},
    {"strategy": "stack", "robust": {"rule": "centered-clipping"}},
]


@pytest.mark.parametrize("aggregation", SETTINGS, ids=lambda one: f"{one['strategy']} {one['robust']['rule']}")
def test_a_shared_geometry_gives_the_same_bytes(store, manifest_of, grams, aggregation):
    manifest = manifest_of([4, 4, 2, 3] if aggregation["strategy"] == "stack" else None, **aggregation)
    shared = RoundAggregation(manifest, store)
    found = (shared.aggregate(), shared.diagnose(), shared.aggregate_without_each())
    assert len(grams) == 1
    shards = [update.shard for update in manifest.updates]
    assert found == (
        aggregate_round(manifest, store),
        diagnose_round(manifest, store),
        {shard: aggregate_round(manifest.without(shard), store)[0] for shard in shards},
    )
    assert len(set(found[2].values()) - {found[0][0]}) == 4


@pytest.mark.parametrize("rule", ["none", "median"])
def test_without_need_no_geometry_is_computed(store, manifest_of, grams, rule):
    manifest = manifest_of(robust={"rule": rule})
    shared = RoundAggregation(manifest, store)
    shared.aggregate()
    assert set(shared.aggregate_without_each()) == {"s000", "s001", "s002", "s003"}
    assert grams == []


def test_a_file_that_changes_between_two_computations_is_not_aggregated(store, manifest_of):
    manifest = manifest_of(robust={"rule": "centered-clipping"})
    shared = RoundAggregation(manifest, store)
    shared.aggregate()
    path = store.fetch(manifest.updates[1].adapter)
    path.chmod(0o644)
    path.write_bytes(adapter(99) + b" ")
    for again in (shared.aggregate, shared.diagnose, shared.aggregate_without_each):
        with pytest.raises(CorruptContent, match=manifest.updates[1].adapter):
            again()
