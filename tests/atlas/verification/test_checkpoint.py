"""Every strategy's checkpoints follow from their manifests, and whatever is altered is named."""

import numpy as np
import pytest
from safetensors.numpy import save

from atlas.content.format.cid import cid_of_bytes
from atlas.content.local.store import LocalStore
from atlas.documents.manifests import AcceptedUpdate, Checkpoint, DatasetManifest, RoundManifest, ShardManifest
from atlas.documents.stored import get_document, put_document
from atlas.errors import ContentNotFound, CorruptContent, VerificationError
from atlas.rounds.checkpoint import aggregate_round, untrained_checkpoint
from atlas.spec.job import JobSpec
from atlas.verification.checkpoint import verify_checkpoint
from atlas.verification.job_data import JobRecord, check_round_data

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
        self.start = self.newest = put_document(store, untrained_checkpoint(self.job, store.put(tensors(0))))
        self.rows = [store.put(b"{}\n" * (3 + place)) for place in range(len(SHARDS))]
        shards = [
            ShardManifest(key=key, cid=self.rows[place], rows=3 + place, bytes=9 + 3 * place)
            for place, key in enumerate(SHARDS)
        ]
        dataset = DatasetManifest(
            source="rows.csv", text_column="text", label_column="label", labels=[], shards=shards, holdout=shards[0]
        )
        self.record = JobRecord(dataset, self.start)

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

    def manifest(self, cid: str) -> RoundManifest:
        return get_document(self.store, self.checkpoint(cid).manifest or "", RoundManifest)

    def forge(self, cid: str, **changes) -> str:
        """A checkpoint that follows from the manifest of another one with these changes."""
        return aggregate_round(self.manifest(cid).model_copy(update=changes), self.store)[0]

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
        verify_checkpoint(put_document(store, untrained_checkpoint(job, cid_of_bytes(b"gone"))), store)
    adapter = store.put(tensors(5))
    path = store.fetch(adapter)
    path.chmod(0o600)
    path.write_bytes(b"altered")
    with pytest.raises(CorruptContent):
        verify_checkpoint(put_document(store, untrained_checkpoint(job, adapter)), store)


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


def flip_byte(store: LocalStore, cid: str) -> None:
    path = store.fetch(cid)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("aggregation", "field"),
    [
        ({}, "adapter"),
        ({"strategy": "fedex"}, "merged"),
        ({"strategy": "stack"}, "merged"),
        ({"outer": "adam"}, "optimizer"),
    ],
)
@pytest.mark.parametrize("altered", [1, 2])
def test_a_flipped_byte_of_a_file_that_a_checkpoint_names_is_found(store, aggregation, field, altered):
    history = History(store, aggregation)
    rounds = [history.add(number) for number in (1, 2)]
    named = getattr(history.checkpoint(rounds[altered - 1]), field)
    cid = named[-1] if field == "merged" else named
    flip_byte(store, cid)
    with pytest.raises(CorruptContent, match=cid):
        verify_checkpoint(rounds[-1], store)


@pytest.mark.parametrize("part", ["shard", "update", "manifest", "base", "spec"])
@pytest.mark.parametrize("keyring", [None, "ward"])
def test_a_flipped_byte_of_what_a_manifest_names_is_found(store, part, keyring):
    history = History(store, {}, keyring=keyring)
    cid = history.add(1)
    manifest = history.manifest(cid)
    update = manifest.updates[2]
    names = {
        "shard": update.data,
        "update": update.adapter,
        "manifest": manifest.cid,
        "base": manifest.base,
        "spec": manifest.job,
    }
    flip_byte(store, names[part])
    with pytest.raises(CorruptContent, match=names[part]):
        verify_checkpoint(cid, store)


def test_rounds_whose_updates_are_of_the_job_s_data_set_say_so(store):
    history = History(store, {})
    cid = history.add(1)
    assert [one.dataset_checked for one in verify_checkpoint(cid, store, record=history.record)] == [True, False]
    assert [one.dataset_checked for one in verify_checkpoint(cid, store)] == [False, False]


def test_an_update_from_rows_that_are_not_the_job_s_is_refused(store):
    history = History(store, {})
    cid = history.add(1)
    first, *others = history.manifest(cid).updates
    other = store.put(b"[]\n" * first.weight)
    forged = history.forge(cid, updates=[first.model_copy(update={"data": other}), *others])
    assert len(verify_checkpoint(forged, store)) == 2, "it is consistent in itself"
    with pytest.raises(VerificationError, match=f"s000: the rows .* are {first.data}, but .* from {other}"):
        verify_checkpoint(forged, store, record=history.record)


def test_a_shard_that_the_data_set_lacks_is_refused(store):
    history = History(store, {})
    cid = history.add(1)
    updates = history.manifest(cid).updates
    forged = history.forge(cid, updates=[*updates, updates[0].model_copy(update={"shard": "s004"})])
    with pytest.raises(VerificationError, match=r"s004: .* has no such shard"):
        verify_checkpoint(forged, store, record=history.record)


def test_the_same_shard_twice_is_refused(store):
    history = History(store, {})
    cid = history.add(1)
    updates = history.manifest(cid).updates
    twice = history.manifest(cid).model_copy(update={"updates": [updates[0], *updates]})
    with pytest.raises(VerificationError, match="two updates are of shard s000"):
        check_round_data(twice, history.spec, history.record.dataset)
    other_rows = history.forge(cid, updates=[*updates[:-1], updates[-1].model_copy(update={"data": updates[0].data})])
    with pytest.raises(VerificationError, match=r"s003: the rows .* but this update was made from"):
        verify_checkpoint(other_rows, store, record=history.record)


def test_a_round_below_the_quorum_is_refused(store):
    history = History(store, {"quorum": 0.75})
    cid = history.add(1)
    updates = history.manifest(cid).updates
    enough = history.forge(cid, updates=updates[:3])
    assert len(verify_checkpoint(enough, store, record=history.record)) == 2
    forged = history.forge(cid, updates=updates[:2])
    with pytest.raises(VerificationError, match=r"2 of 4 shards have an update; .* quorum is 0\.75"):
        verify_checkpoint(forged, store, record=history.record)


def test_a_weight_that_the_data_set_does_not_give_is_refused_though_the_rows_are_sealed(store):
    history = History(store, {}, keyring="ward")
    cid = history.add(1)
    first, *others = history.manifest(cid).updates
    forged = history.forge(cid, updates=[first.model_copy(update={"weight": 900}), *others])
    with pytest.raises(VerificationError, match=r"s000: the weight .* is 3, but this update has 900"):
        verify_checkpoint(forged, store, record=history.record)


def test_a_round_that_the_job_does_not_have_is_refused(store):
    history = History(store, {})
    rounds = [history.add(number) for number in (1, 2, 3, 4)]
    with pytest.raises(VerificationError, match=r"Round 4: the job .* has 3 rounds"):
        verify_checkpoint(rounds[3], store, record=history.record)


def test_another_untrained_adapter_than_the_job_was_opened_with_is_refused(store):
    history = History(store, {})
    honest = history.add(1)
    start = put_document(store, untrained_checkpoint(history.job, store.put(tensors(99))))
    forged = history.forge(honest, base=start)
    assert len(verify_checkpoint(forged, store)) == 2
    with pytest.raises(VerificationError, match=f"was opened with {history.start}, found {start}"):
        verify_checkpoint(forged, store, record=history.record)
