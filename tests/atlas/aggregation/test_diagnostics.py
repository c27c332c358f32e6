"""Diagnostics against references in float64 that form every B·A."""

import math
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.aggregation.algebra.low_rank import LowRankSum, effective_rank
from atlas.aggregation.coefficients import coefficients_of
from atlas.aggregation.diagnostics import cosine_matrix, diagnose
from atlas.aggregation.files.adapter_files import write_adapter
from atlas.aggregation.inputs import RoundInputs, Update
from atlas.aggregation.settings import AggregationSpec
from atlas.content.format.cid import cid_of_bytes
from atlas.content.local.store import LocalStore
from atlas.documents.manifests import AcceptedUpdate, Checkpoint, RoundManifest
from atlas.documents.round_diagnostics import RoundDiagnostics
from atlas.documents.stored import get_document, put_document
from atlas.rounds.diagnose import diagnose_round
from atlas.spec.job import JobSpec

MANIFEST = cid_of_bytes(b"a manifest")
MODULES, HEAD = ("model.0.query", "model.1.value"), "model.classifier.weight"
RANK, IN, OUT, SCALING = 4, 18, 14, 2.0
QUICK = settings(max_examples=15, deadline=None)


def a(module: str) -> str:
    return f"{module}.lora_A.weight"


def b(module: str) -> str:
    return f"{module}.lora_B.weight"


def base_tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    tensors = {HEAD: rng.normal(size=(2, 9))}
    for module in MODULES:
        tensors |= {a(module): rng.normal(size=(RANK, IN)), b(module): rng.normal(size=(OUT, RANK))}
    return {name: value.astype(np.float32) for name, value in tensors.items()}


def update_tensors(seed: int, rank: int = RANK, frozen: str = "", scale: float = 0.3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, value in base_tensors().items():
        moved = value + scale * rng.normal(size=value.shape)
        if "lora_A" in name:
            moved = moved[:rank]
        if "lora_B" in name:
            moved = moved[:, :rank]
        if not (frozen and f"lora_{frozen}" in name):
            tensors[name] = np.ascontiguousarray(moved, np.float32)
    return tensors


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("round")


def round_of(folder, updates: list[dict], weights=None, strategy="fedavg", rule="none") -> RoundInputs:
    def write(name: str, tensors: dict):
        write_adapter(folder / name, tensors)
        return folder / name

    weights = weights or [1] * len(updates)
    return RoundInputs(
        settings=AggregationSpec(strategy=strategy, robust=rule),
        round=1,
        seed=cid_of_bytes(b"base"),
        scaling=SCALING,
        base=write("base", base_tensors()),
        updates=tuple(
            Update(f"s{place:03d}", write(f"s{place:03d}", tensors), weight)
            for place, (tensors, weight) in enumerate(zip(updates, weights, strict=True))
        ),
    )


def full(tensors: dict, module: str) -> tuple[np.ndarray, np.ndarray]:
    """A and B of an update in float64; what it has not trained is the base's."""
    start = base_tensors()
    whole_a, whole_b = start[a(module)].astype(np.float64), start[b(module)].astype(np.float64)
    found_a, found_b = tensors.get(a(module), start[a(module)]), tensors.get(b(module), start[b(module)])
    whole_a[: len(found_a)], whole_b[:, : found_b.shape[1]] = found_a, found_b
    return whole_a, whole_b


def dense_products(updates: list[dict], coefficients: list[float]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By module: the exact mean ΔW*, and Σw(B-B̄)(A-Ā), where the base weighs what the others leave over."""
    found = {}
    for module in MODULES:
        factors = [full(tensors, module) for tensors in [*updates, base_tensors()]]
        shares = [*coefficients, 1 - sum(coefficients)]
        mean_a = sum(share * one for share, (one, _) in zip(shares, factors, strict=True))
        mean_b = sum(share * one for share, (_, one) in zip(shares, factors, strict=True))
        exact = sum(share * two @ one for share, (one, two) in zip(shares, factors, strict=True))
        lost = sum(share * (two - mean_b) @ (one - mean_a) for share, (one, two) in zip(shares, factors, strict=True))
        found[module] = exact, lost
    return found


def flat_changes(updates: list[dict]) -> np.ndarray:
    start = base_tensors()
    rows = [np.concatenate([(one[name] - start[name]).ravel() for name in sorted(one)]) for one in updates]
    return np.array(rows, np.float64)


def model_changes(updates: list[dict]) -> np.ndarray:
    """What updates change in the model: scaled products and ordinary tensors."""
    start = base_tensors()
    rows = []
    for one in updates:
        parts = [(one[HEAD].astype(float) - start[HEAD]).ravel()]
        for module in MODULES:
            (mine_a, mine_b), (base_a, base_b) = full(one, module), full(start, module)
            parts.append(SCALING * (mine_b @ mine_a - base_b @ base_a).ravel())
        rows.append(np.concatenate(parts))
    return np.array(rows)


def check(found: RoundDiagnostics, updates: list[dict], changes: np.ndarray, coefficients: list[float]) -> None:
    products = dense_products(updates, coefficients)
    exact = math.sqrt(sum(np.sum(one**2) for one, _ in products.values()))
    lost = math.sqrt(sum(np.sum(two**2) for _, two in products.values()))
    assert found.residual == pytest.approx(lost / exact, rel=1e-5, abs=1e-9)
    for module, (one, _) in products.items():
        energies = np.linalg.svd(one, compute_uv=False) ** 2
        shares = energies[energies > 1e-30] / energies.sum()
        assert found.effective_ranks[module] == pytest.approx(math.exp(-np.sum(shares * np.log(shares))), rel=1e-5)
    assert found.effective_rank == pytest.approx(np.mean(list(found.effective_ranks.values())), rel=1e-5)
    aggregate = np.array(coefficients) @ changes
    assert found.norm == pytest.approx(np.linalg.norm(aggregate), rel=1e-4)
    lengths = np.linalg.norm(changes, axis=1)
    pulls = lengths * coefficients
    for place, one in enumerate(found.updates):
        assert one.norm == pytest.approx(lengths[place], rel=1e-5)
        assert one.coefficient == pytest.approx(coefficients[place], rel=1e-5)
        assert one.share == pytest.approx(pulls[place] / sum(pulls), rel=1e-5)
        cosine = changes[place] @ aggregate / lengths[place] / np.linalg.norm(aggregate)
        assert one.cosine == pytest.approx(cosine, rel=1e-4, abs=1e-5)
    if len(updates) > 1:
        units = changes / lengths[:, None]
        np.testing.assert_allclose(found.cosine_matrix, units @ units.T, rtol=1e-4, atol=1e-5)
        pairs = (units @ units.T)[np.triu_indices(len(updates), 1)]
        spread = np.quantile(pairs, [0, 0.25, 0.5, 0.75, 1])
        np.testing.assert_allclose(list(found.cosines.model_dump().values()), spread, rtol=1e-4, atol=1e-5)


@QUICK
@given(
    seeds=st.lists(st.integers(2, 10**6), min_size=1, max_size=6, unique=True),
    weights=st.lists(st.integers(1, 1000), min_size=6, max_size=6),
    strategy=st.sampled_from(["fedavg", "qr-svd", "stack", "fedex"]),
)
def test_as_a_dense_reference_says(folder, seeds, weights, strategy):
    updates = [update_tensors(seed) for seed in seeds]
    weights = weights[: len(seeds)]
    found = diagnose(round_of(folder, updates, weights, strategy), MANIFEST)
    flat = strategy == "fedavg"
    assert found.space == ("flat" if flat else "product")
    shares = [weight / sum(weights) for weight in weights]
    check(found, updates, flat_changes(updates) if flat else model_changes(updates), shares)


def test_with_the_coefficients_of_a_robust_rule(folder):
    updates = [update_tensors(seed) for seed in range(2, 7)] + [update_tensors(7, scale=30.0)]
    inputs = round_of(folder, updates, rule="centered-clipping")
    found = diagnose(inputs, MANIFEST)
    check(found, updates, flat_changes(updates), coefficients_of(inputs))
    assert found.updates[-1].coefficient < found.updates[0].coefficient / 10


def test_what_a_lower_rank_lacks_is_the_bases(folder):
    updates = [update_tensors(2, rank=1), update_tensors(3, rank=3), update_tensors(4)]
    found = diagnose(round_of(folder, updates, [5, 1, 2], "stack"), MANIFEST)
    check(found, updates, model_changes(updates), [5 / 8, 1 / 8, 2 / 8])


@pytest.mark.parametrize(("strategy", "frozen"), [("ffa", "A"), ("rolora", "A")])
def test_nothing_is_lost_where_a_factor_is_frozen(folder, strategy, frozen):
    updates = [update_tensors(seed, frozen=frozen) for seed in range(2, 6)]
    found = diagnose(round_of(folder, updates, strategy=strategy), MANIFEST)
    assert found.residual == 0.0
    check(found, updates, flat_changes(updates), [0.25] * 4)


def test_equal_updates_lose_nothing_and_agree(folder):
    found = diagnose(round_of(folder, [update_tensors(2)] * 3), MANIFEST)
    assert found.residual == 0.0
    assert found.cosine_matrix == [[1.0] * 3] * 3
    assert [one.cosine for one in found.updates] == [1.0] * 3
    assert [one.share for one in found.updates] == [0.333333] * 3


def test_one_update_is_the_round(folder):
    found = diagnose(round_of(folder, [update_tensors(2)]), MANIFEST)
    assert (found.cosines, found.cosine_matrix, found.residual) == (None, [[1.0]], 0.0)
    (only,) = found.updates
    assert (only.coefficient, only.share, only.cosine) == (1.0, 1.0, 1.0)
    assert only.norm == found.norm


def test_updates_that_change_nothing_have_no_direction(folder):
    found = diagnose(round_of(folder, [base_tensors(), base_tensors()]), MANIFEST)
    assert (found.norm, found.residual) == (0.0, 0.0)
    assert found.cosine_matrix == [[1.0, 0.0], [0.0, 1.0]]
    assert [(one.norm, one.share, one.cosine) for one in found.updates] == [(0.0, 0.0, 0.0)] * 2


@QUICK
@given(order=st.permutations(range(5)))
def test_the_order_of_nodes_changes_nothing_but_the_order(folder, order):
    updates, weights = [update_tensors(seed) for seed in range(2, 7)], [3, 1, 4, 1, 5]
    straight = diagnose(round_of(folder, updates, weights), MANIFEST)
    shuffled = diagnose(round_of(folder, [updates[at] for at in order], [weights[at] for at in order]), MANIFEST)
    by_place = {place: one.model_dump(exclude={"shard"}) for place, one in zip(order, shuffled.updates, strict=True)}
    assert [by_place[place] for place in range(5)] == [one.model_dump(exclude={"shard"}) for one in straight.updates]
    for field in ("norm", "residual", "effective_ranks", "effective_rank", "cosines"):
        assert getattr(shuffled, field) == getattr(straight, field)


@given(scales=st.lists(st.floats(1e-6, 1e6), min_size=4, max_size=4))
def test_cosines_do_not_depend_on_lengths(scales):
    rows = np.random.default_rng(3).normal(size=(4, 50))
    scaled = rows * np.array(scales)[:, None]
    np.testing.assert_allclose(cosine_matrix(scaled @ scaled.T), cosine_matrix(rows @ rows.T), atol=1e-9)


def test_many_updates_are_summed_up(folder):
    updates = [update_tensors(seed) for seed in range(2, 35)]
    found = diagnose(round_of(folder, updates), MANIFEST)
    assert found.cosine_matrix is None
    assert len(found.updates) == 33
    changes = flat_changes(updates)
    units = changes / np.linalg.norm(changes, axis=1)[:, None]
    assert found.cosines.median == pytest.approx(np.median((units @ units.T)[np.triu_indices(33, 1)]), rel=1e-4)


@pytest.mark.parametrize("rule", ["median", "trimmed-mean"])
@pytest.mark.parametrize(("strategy", "frozen"), [("fedavg", ""), ("ffa", "A")])
def test_rules_by_column_have_no_coefficients(folder, rule, strategy, frozen):
    updates = [update_tensors(seed, frozen=frozen) for seed in range(2, 7)]
    found = diagnose(round_of(folder, updates, strategy=strategy, rule=rule), MANIFEST)
    changes = flat_changes(updates)
    aggregate = np.median(changes, axis=0) if rule == "median" else np.sort(changes, axis=0)[1:-1].mean(axis=0)
    for one, change in zip(found.updates, changes, strict=True):
        assert (one.coefficient, one.share) == (None, None)
        cosine = change @ aggregate / np.linalg.norm(change) / np.linalg.norm(aggregate)
        assert one.cosine == pytest.approx(cosine, rel=1e-4, abs=1e-5)
    assert found.norm == pytest.approx(np.linalg.norm(aggregate), rel=1e-4)


@QUICK
@given(count=st.integers(1, 12), rows=st.integers(1, 9), columns=st.integers(1, 9), seed=st.integers(0, 1000))
def test_a_sum_of_products_has_the_singular_values_of_the_matrix(count, rows, columns, seed):
    rng = np.random.default_rng(seed)
    total, dense = LowRankSum(rows, columns), np.zeros((rows, columns))
    for _ in range(count):
        left, right = rng.normal(size=(rows, 3)), rng.normal(size=(3, columns))
        total.add(left, right)
        dense += left @ right
    found, expected = total.singular_values(), np.linalg.svd(dense, compute_uv=False)
    np.testing.assert_allclose(found, expected[: len(found)], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(expected[len(found) :], 0, atol=1e-9)


def test_effective_rank_counts_equal_directions():
    assert effective_rank(np.array([2.0, 2.0, 2.0, 0.0])) == pytest.approx(3.0)
    assert effective_rank(np.array([7.0])) == pytest.approx(1.0)
    assert effective_rank(np.zeros(4)) == 0.0


def test_a_round_is_diagnosed_from_the_store_alone(tmp_path, folder):
    store, inputs = LocalStore(tmp_path / "content"), round_of(folder, [update_tensors(2), update_tensors(3)], [10, 20])
    spec = {
        "name": "diagnosed",
        "model": {"source": "package:minilm", "task": "sequence-classification"},
        "dataset": {"source": "rows.csv", "labels": ["no", "yes"], "shard_by": {"rows": 10}},
        "lora": {"rank": RANK, "alpha": SCALING * RANK, "target_modules": ["query"]},
        "aggregation": {"strategy": "fedavg", "robust": "none"},
        "payment": {"budget": 1, "reward_per_task": 1},
    }
    job = put_document(store, JobSpec.from_mapping(spec))
    genesis = Checkpoint(job=job, round=0, adapter=store.put(inputs.base), parent=None, manifest=None)
    manifest = RoundManifest(
        job=job,
        round=1,
        base=put_document(store, genesis),
        strategy="fedavg",
        updates=[
            AcceptedUpdate(shard=one.shard, data=MANIFEST, adapter=store.put(one.path), weight=one.weight)
            for one in inputs.updates
        ],
    )
    found = diagnose_round(manifest, store)
    assert found.manifest == manifest.cid
    assert found.model_dump(exclude={"manifest"}) == diagnose(inputs, MANIFEST).model_dump(exclude={"manifest"})
    assert get_document(store, put_document(store, found), RoundDiagnostics) == found


COMPUTE = """
import pickle, sys
from atlas.aggregation.diagnostics import diagnose
print(diagnose(pickle.load(sys.stdin.buffer), sys.argv[1]).cid)
"""


@pytest.mark.parametrize("kernels", ["Prescott", "Haswell"])
def test_the_document_does_not_depend_on_threads_or_kernels(folder, kernels):
    inputs = round_of(folder, [update_tensors(seed) for seed in range(2, 7)], [3, 1, 4, 1, 5], strategy="qr-svd")
    elsewhere = subprocess.run(
        [sys.executable, "-c", COMPUTE, MANIFEST],
        input=pickle.dumps(inputs),
        capture_output=True,
        check=True,
        env={**os.environ, "OPENBLAS_CORETYPE": kernels, "OMP_NUM_THREADS": "2"},
    )
    assert elsewhere.stdout.decode().strip() == diagnose(inputs, MANIFEST).cid
