import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.aggregation.algebra.products import product_gram
from atlas.aggregation.files.adapter_files import write_adapter
from atlas.errors import AggregationError

SIZES = {"layer.0.query": (11, 7), "layer.1.value": (5, 2500)}
HEAD = "classifier.weight"
SCALING = 1.5
BEYOND_BASELINE = "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"  # of NumPy's instruction sets


def adapter(seed, rank=4, size=1.0):
    rng = np.random.default_rng(seed)
    tensors = {HEAD: rng.normal(0, size, (2, 6)).astype(np.float32)}
    for module, (out, in_) in SIZES.items():
        tensors[f"{module}.lora_A.weight"] = rng.normal(0, size, (rank, in_)).astype(np.float32)
        tensors[f"{module}.lora_B.weight"] = rng.normal(0, size, (out, rank)).astype(np.float32)
    return tensors


def near(base, seed, size):
    change = adapter(seed, size=size)
    return {name: tensor + change[name] for name, tensor in base.items()}


def without(tensors, *endings):
    return {name: tensor for name, tensor in tensors.items() if not name.endswith(endings)}


def whole(part, base):
    """A tensor in float64; what it lacks to the base's shape is the base's."""
    filled = base.astype(np.float64)
    filled[tuple(slice(size) for size in part.shape)] = part
    return filled


def dense(base, updates):
    """The Gram matrix of the formed changes of the model's weights."""

    def model(tensors):
        tensors = {name: whole(tensors.get(name, value), value) for name, value in base.items()}
        parts = [SCALING * tensors[f"{module}.lora_B.weight"] @ tensors[f"{module}.lora_A.weight"] for module in SIZES]
        return np.concatenate([part.ravel() for part in [*parts, tensors[HEAD]]])

    changes = np.stack([model(update) - model({}) for update in updates])
    return changes @ changes.T


@pytest.fixture(scope="module")
def gram(tmp_path_factory):
    def gram(base, updates, extra=None, scaling=SCALING):
        folder = tmp_path_factory.mktemp("products")
        paths = [folder / f"update{place}" for place in range(len(updates))]
        for path, tensors in zip([folder / "base", *paths], [base, *updates], strict=True):
            write_adapter(path, tensors)
        if extra is not None:
            write_adapter(folder / "extra", extra)
        return product_gram(folder / "base", paths, folder / "extra" if extra is not None else None, scaling)

    return gram


def assert_close(found, expected, tolerance=1e-5):
    lengths = np.sqrt(np.diag(expected))
    assert (abs(found - expected) <= tolerance * lengths[:, None] * lengths).all()
    np.testing.assert_array_equal(found, found.T)


def test_equals_the_gram_matrix_of_formed_changes(gram):
    base, updates = adapter(0), [adapter(seed) for seed in (1, 2, 3)]
    assert_close(gram(base, updates), dense(base, updates))


@settings(max_examples=15, deadline=None)
@given(ranks=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_ranks_may_be_mixed(gram, ranks):
    base, updates = adapter(0), [adapter(seed, rank) for seed, rank in enumerate(ranks, 1)]
    assert_close(gram(base, updates), dense(base, updates))


@pytest.mark.parametrize("frozen", [".lora_A.weight", ".lora_B.weight", HEAD])
def test_what_updates_lack_is_the_bases(gram, frozen):
    base, updates = adapter(0), [without(adapter(seed), frozen) for seed in (1, 2, 3)]
    assert_close(gram(base, updates), dense(base, updates))


def test_small_changes_beside_a_large_base_are_precise(gram):
    base = adapter(0)
    updates = [near(base, seed, 1e-5) for seed in (1, 2, 3)]
    assert_close(gram(base, updates), dense(base, updates), 1e-4)


def test_a_fresh_base_has_no_product_of_its_own(gram):
    base = adapter(0) | {
        f"{module}.lora_B.weight": np.zeros((out, 4), np.float32) for module, (out, _) in SIZES.items()
    }
    updates = [adapter(seed) for seed in (1, 2)]
    assert_close(gram(base, updates), dense(base, updates))


def test_other_factors_of_one_product_are_the_same_change(gram):
    base, update = adapter(0), adapter(1)
    turned = {
        name: value * np.float32(4 if "lora_A" in name else 0.25 if "lora_B" in name else 1)
        for name, value in update.items()
    }
    found = gram(base, [update, turned])
    assert found[0, 0] + found[1, 1] - 2 * found[0, 1] == pytest.approx(0, abs=1e-5 * found[0, 0])


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(4)))
def test_entries_do_not_depend_on_the_order_of_nodes(gram, order):
    base, updates = adapter(0), [adapter(seed, 1 + seed % 4) for seed in range(1, 5)]
    found = gram(base, [updates[place] for place in order])
    np.testing.assert_array_equal(found, gram(base, updates)[np.ix_(order, order)])


def test_the_extra_update_comes_last(gram):
    base, updates = adapter(0), [adapter(seed) for seed in (1, 2, 3)]
    np.testing.assert_array_equal(gram(base, updates[:2], extra=updates[2]), gram(base, updates))


def test_the_scaling_counts_for_products_alone(gram):
    base, updates = without(adapter(0), HEAD), [without(adapter(seed), HEAD) for seed in (1, 2)]
    np.testing.assert_array_equal(gram(base, updates, scaling=4.0), 16 * gram(base, updates, scaling=1.0))
    assert not gram(base, [base, base]).any()


@pytest.mark.parametrize("name", [HEAD, "layer.0.query.lora_A.weight", "layer.1.value.lora_B.weight"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_named_with_its_file(gram, name, value):
    bad = adapter(2)
    bad[name].flat[-1] = value
    with pytest.raises(AggregationError, match=f"^update1: {name} holds NaN"):
        gram(adapter(0), [adapter(1), bad])


def test_files_that_do_not_fit_are_refused(gram):
    with pytest.raises(AggregationError, match=r"update0: .* is \[5, \d+\], expected \[4, \d+\]"):
        gram(adapter(0), [adapter(1, rank=5)])
    with pytest.raises(AggregationError, match="update1 and update0 must hold the same tensors"):
        gram(adapter(0), [adapter(1), without(adapter(2), HEAD)])
    odd = adapter(1) | {"layer.0.query.lora_A.weight": np.ones((4, 8), np.float32)}
    with pytest.raises(AggregationError, match=r"\[4, 8\], expected \[4, 7\]"):
        gram(adapter(0), [odd])


@pytest.mark.parametrize(("threads", "core"), [("1", None), ("2", None), ("2", "Nehalem")])
def test_threads_and_instruction_sets_do_not_change_a_bit(tmp_path, threads, core):
    for seed in range(30):
        write_adapter(tmp_path / str(seed), adapter(seed))
    paths = [tmp_path / str(seed) for seed in range(30)]
    code = (
        "import sys; from pathlib import Path; from contextlib import nullcontext\n"
        "import numpy as np; import atlas.aggregation.algebra.products as module\n"
        "module.one_blas_thread = nullcontext  # as many as there are\n"
        "base, *updates, out = map(Path, sys.argv[1:]); np.save(out, module.product_gram(base, updates, None, 1.5))"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS")}
    environment["OMP_NUM_THREADS"] = threads
    if core is not None:
        environment |= {"OPENBLAS_CORETYPE": core, "NPY_DISABLE_CPU_FEATURES": BEYOND_BASELINE}
    there = tmp_path / "there.npy"
    subprocess.run([sys.executable, "-c", code, *paths, there], check=True, env=environment)
    np.testing.assert_array_equal(np.load(there), product_gram(paths[0], paths[1:], None, 1.5))
