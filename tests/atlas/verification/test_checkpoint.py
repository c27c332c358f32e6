"""Every strategy's checkpoints follow from their manifests, and whatever is altered is named."""

import numpy as np
import pytest
from safetensors.numpy import save

from atlas.aggregation.aggregate import aggregate_round, genesis
from atlas.content.cid import cid_of_bytes
from atlas.content.local import LocalStore
from atlas.content.store import get_document, put_document
from atlas.errors import ContentNotFound, CorruptContent, VerificationError
from atlas.manifests import AcceptedUpdate, Checkpoint, RoundManifest
from atlas.spec import JobSpec
from atlas.verification.checkpoint import verify_checkpoint

RANK = 4
SHAPES = {"layer.lora_A.weight": (RANK, 6), "layer.lora_B.weight": (5, RANK), "head.weight": (2, 6)}
SHARDS = ("s000", "s001", "s002", "s003")
AGGREGATIONS = {
    "default": {},
    "ffa": {"strategy": "ffa"},
    "rolora": {"strategy": "rolora"},
    "stack": {"strategy": "stack"},
    "qr-svd": {"strategy": "qr-svd"},
    "fedex": {"strategy": "fedex"},
    "nesterov": {"outer": "nesterov"},
    "adam": {"outer": "adam"},
    "rolora-yogi": {"strategy": "rolora", "outer": "yogi"},
    "median": {"robust": "median"},
    "trimmed-mean": {"robust": {"rule": "trimmed-mean", "bucket_size": 2, "tolerated": 0.2}},
    "multi-krum": {"robust": "multi-krum"},
    "fedex-krum": {"strategy": "fedex", "robust": "multi-krum"},
    "fltrust": {"robust": "fltrust"},
}


def tensors(seed: int, frozen: str | None = None, rank: int = RANK) -> bytes:
    drawn = {name: np.random.default_rng([seed, *name.encode()]).normal(size=SHAPES[name]) for name in SHAPES}
    drawn["layer.lora_A.weight"] = drawn["layer.lora_A.weight"][:rank]
    drawn["layer.lora_B.weight"] = drawn["layer.lora_B.weight"][:, :rank]
    return save(
        {
            name: np.ascontiguousarray(value, np.float32)
            for name, value in drawn.items()
            if f".lora_{frozen}." not in name
        }
    )


class History:
    """A job's rounds, made as a coordinator makes them."""

    def __init__(
        self, store: LocalStore, aggregation: dict, ranks: dict[str, int] | None = None, keyring: str | None = None
    ) -> None:
        self.store = store
        self.spec = JobSpec.from_mapping(
            {
                "name": "history",
                "model": "minilm",
                "dataset": {"source": "rows.csv", "labels": ["no", "yes"], "shard_by": {"rows": 9}, "keyring": keyring},
                "lora": {"rank": RANK, "shard_ranks": ranks or {}},
                "aggregation": aggregation,
                "payment": {"budget": 10, "reward_per_task": 1},
            }
        )
        self.job = put_document(store, self.spec)
        self.start = self.newest = put_document(store, genesis(self.job, store.put(tensors(0))))
        self.rows = [store.put(b"{}\n" * (3 + place)) for place in range(len(SHARDS))]

    def add(self, round_: int) -> str:
        frozen = self.spec.aggregation.method.frozen_factor(round_)
        updates = [
            AcceptedUpdate(
                shard=shard,
                data=self.rows[place],
                adapter=self.store.put(tensors(10 * round_ + place + 1, frozen, self.spec.lora.rank_of(shard))),
                weight=3 + place,
            )
            for place, shard in enumerate(SHARDS)
        ]
        trusts = self.spec.aggregation.robust.rule == "fltrust"
        manifest = RoundManifest(
            job=self.job,
            round=round_,
            base=self.newest,
            strategy=self.spec.aggregation.strategy,
            updates=updates,
            reference=self.store.put(tensors(10 * round_, frozen)) if trusts else None,
        )
        self.newest, _ = aggregate_round(manifest, self.store)
        return self.newest

    def checkpoint(self, cid: str) -> Checkpoint:
        return get_document(self.store, cid, Checkpoint)


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "content")


@pytest.mark.parametrize("aggregation", AGGREGATIONS.values(), ids=AGGREGATIONS)
def test_three_rounds_follow_from_their_manifests(store, aggregation):
    history = History(store, aggregation)
    rounds = [history.add(number) for number in (1, 2, 3)]
    heard = []
    verified = verify_checkpoint(rounds[-1], store, heard.append)
    assert heard == verified
    assert [(one.round, one.cid, one.updates) for one in verified] == [
        (3, rounds[2], 4),
        (2, rounds[1], 4),
        (1, rounds[0], 4),
        (0, history.start, 0),
    ]
    assert [one.adapter for one in verified] == [history.checkpoint(one.cid).adapter for one in verified]
    merges = aggregation.get("strategy") in ("stack", "fedex")
    assert len(history.checkpoint(rounds[2]).merged) == (3 if merges else 0)
    assert (history.checkpoint(rounds[2]).optimizer is not None) == ("outer" in aggregation)


@pytest.mark.parametrize("strategy", ["stack", "qr-svd"])
def test_updates_of_mixed_ranks_can_be_recomputed(store, strategy):
    history = History(store, {"strategy": strategy}, ranks={"s001": 2, "s003": 1})
    history.add(1)
    assert len(verify_checkpoint(history.add(2), store)) == 3


@pytest.mark.parametrize(
    ("aggregation", "field"),
    [
        ({}, "adapter"),
        ({"strategy": "fedex"}, "merged"),
        ({"strategy": "stack"}, "merged"),
        ({"outer": "adam"}, "optimizer"),
    ],
)
def test_an_altered_file_is_named_with_both_cids(store, aggregation, field):
    history = History(store, aggregation)
    history.add(1)
    honest = history.checkpoint(history.add(2))
    forged = store.put(b"anything else")
    value = [*honest.merged[:-1], forged] if field == "merged" else forged
    cid = put_document(store, honest.model_copy(update={field: value}))
    with pytest.raises(VerificationError) as caught:
        verify_checkpoint(cid, store)
    expected = honest.merged[-1] if field == "merged" else getattr(honest, field)
    told = str(caught.value)
    assert told.startswith("Round 2: ")
    assert f"{field} differs" in told
    assert forged in told
    assert expected in told
    assert [name for name in ("adapter", "merged", "optimizer") if f"{name} differs" in told] == [field]


def test_merged_factors_of_an_earlier_round_cannot_be_swapped(store):
    history = History(store, {"strategy": "stack"})
    history.add(1)
    honest = history.checkpoint(history.add(2))
    cid = put_document(store, honest.model_copy(update={"merged": honest.merged[::-1]}))
    with pytest.raises(VerificationError, match=r"Round 2: .* merged differs"):
        verify_checkpoint(cid, store)


def test_an_altered_round_is_found_from_later_ones(store):
    history = History(store, {})
    honest = history.checkpoint(history.add(1))
    history.newest = put_document(store, honest.model_copy(update={"adapter": store.put(tensors(77))}))
    with pytest.raises(VerificationError, match=r"Round 1: .* adapter differs"):
        verify_checkpoint(history.add(2), store)


def test_another_cpu_may_be_why_a_qr_differs(store):
    history = History(store, {"strategy": "qr-svd"})
    honest = history.checkpoint(history.add(1))
    cid = put_document(store, honest.model_copy(update={"adapter": store.put(tensors(77))}))
    with pytest.raises(VerificationError, match="LAPACK, whose kernels differ by CPU"):
        verify_checkpoint(cid, store)


def test_weights_of_sealed_shards_are_compared_by_whoever_has_the_keys(store):
    history = History(store, {}, keyring="ward")
    cid = history.add(1)
    assert [one.weights_checked for one in verify_checkpoint(cid, store)] == [False, True]
    asked = []

    def count(data, spec):
        asked.append((data, spec.dataset.keyring))
        return 3 + history.rows.index(data)

    assert [one.weights_checked for one in verify_checkpoint(cid, store, count_sealed=count)] == [True, True]
    assert asked == [(data, "ward") for data in history.rows]
    with pytest.raises(VerificationError, match="has 9 rows, but its update was weighted with 3"):
        verify_checkpoint(cid, store, count_sealed=lambda data, spec: 9)


def test_a_weight_that_is_not_the_shard_s_rows_is_refused(store):
    history = History(store, {})
    checkpoint = history.checkpoint(history.add(1))
    manifest = get_document(store, checkpoint.manifest, RoundManifest)
    heavy = manifest.updates[0].model_copy(update={"weight": 1_000_000})
    forged, _ = aggregate_round(manifest.model_copy(update={"updates": [heavy, *manifest.updates[1:]]}), store)
    with pytest.raises(VerificationError, match="has 3 rows, but its update was weighted with 1000000"):
        verify_checkpoint(forged, store)


def test_the_untrained_adapter_must_be_there_as_it_was(store):
    job = put_document(store, History(store, {}).spec)
    with pytest.raises(ContentNotFound):
        verify_checkpoint(put_document(store, genesis(job, cid_of_bytes(b"gone"))), store)
    adapter = store.put(tensors(5))
    path = store.fetch(adapter)
    path.chmod(0o600)
    path.write_bytes(b"altered")
    with pytest.raises(CorruptContent):
        verify_checkpoint(put_document(store, genesis(job, adapter)), store)


@pytest.mark.parametrize("change", [{"round": 2}, {"merged": [cid_of_bytes(b"m")]}, {"optimizer": cid_of_bytes(b"o")}])
def test_a_checkpoint_without_a_manifest_is_that_of_round_0(store, change):
    history = History(store, {})
    cid = put_document(store, history.checkpoint(history.start).model_copy(update=change))
    with pytest.raises(VerificationError, match="is not round 0"):
        verify_checkpoint(cid, store)


def test_the_untrained_adapter_is_made_anew_where_that_is_asked_for(store):
    history = History(store, {})
    newest = history.add(1)
    adapter = history.checkpoint(history.start).adapter
    asked = []

    def rebuild(spec: JobSpec) -> str:
        asked.append(spec)
        return adapter

    assert [one.round for one in verify_checkpoint(newest, store, rebuild=rebuild)] == [1, 0]
    assert asked == [history.spec]
    other = cid_of_bytes(b"another")
    with pytest.raises(VerificationError) as caught:
        verify_checkpoint(newest, store, rebuild=lambda spec: other)
    assert "Round 0" in str(caught.value)
    assert adapter in str(caught.value)
    assert other in str(caught.value)
