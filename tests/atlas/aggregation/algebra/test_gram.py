import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.aggregation.algebra import gram as module
from atlas.aggregation.algebra.gram import WIDTH, add_gram, flat_gram
from atlas.aggregation.files.adapter_files import write_adapter
from atlas.errors import AggregationError

BEYOND_BASELINE = "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"  # of NumPy's instruction sets


def write_all(folder, base, updates):
    """Files of one tensor each; returns the base's path and the updates'."""
    paths = [folder / "base", *(folder / f"update{place}" for place in range(len(updates)))]
    for path, values in zip(paths, [base, *updates], strict=True):
        write_adapter(path, {"a": np.float32(values)})
    return paths[0], paths[1:]


def dense(base, updates):
    changes = np.subtract(np.float32(updates), np.float32(base)).astype(np.float64)
    return changes @ changes.T


def random_files(folder, count=5, size=3 * WIDTH + 100, seed=0):
    rng = np.random.default_rng(seed)
    base = rng.normal(size=size)
    updates = base + 0.01 * rng.normal(size=(count, size)) * 10.0 ** np.arange(-2, count - 2)[:, None]
    return base, updates, *write_all(folder, base, updates)


@pytest.mark.parametrize("size", [1, 100, WIDTH, WIDTH + 1, 5 * WIDTH + 7])
def test_equals_a_dense_reference(tmp_path, size):
    base, updates, start, paths = random_files(tmp_path, size=size)
    found, expected = flat_gram(start, paths), dense(base, updates)
    lengths = np.sqrt(np.diag(expected))
    assert (abs(found - expected) <= 1e-6 * lengths[:, None] * lengths).all()
    np.testing.assert_array_equal(found, found.T)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whole_numbers_are_exact(tmp_path_factory, data):
    """With numbers that fit 21 bits nothing is rounded: the Gram matrix is the one of Python's integers."""
    count, size = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 40))
    number = st.integers(-(2**20), 2**20)
    rows = [data.draw(st.lists(number, min_size=size, max_size=size)) for _ in range(count)]
    exponents = [data.draw(st.integers(-60, 60)) for _ in range(count)]
    updates = [np.float32(row) * np.float32(2.0**exponent) for row, exponent in zip(rows, exponents, strict=True)]
    start, paths = write_all(tmp_path_factory.mktemp("gram"), np.zeros(size), updates)
    found = flat_gram(start, paths)
    for i in range(count):
        for j in range(count):
            product = sum(a * b for a, b in zip(rows[i], rows[j], strict=True))
            assert found[i, j] == product * 2.0 ** (exponents[i] + exponents[j])


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(5)), chosen=st.integers(1, 5))
def test_entries_do_not_depend_on_order_or_company(tmp_path_factory, order, chosen):
    _, _, start, paths = random_files(tmp_path_factory.mktemp("gram"))
    whole, order = flat_gram(start, paths), order[:chosen]
    np.testing.assert_array_equal(flat_gram(start, [paths[place] for place in order]), whole[np.ix_(order, order)])
    rest = flat_gram(start, [paths[place] for place in order[1:]], extra=paths[order[0]]) if chosen > 1 else None
    if rest is not None:
        assert rest[-1, -1] == whole[order[0], order[0]]
        np.testing.assert_array_equal(rest[-1, :-1], whole[order[0], order[1:]])


@settings(max_examples=15, deadline=None)
@given(exponent=st.integers(-30, 30))
def test_scaling_by_a_power_of_two_scales_exactly(tmp_path_factory, exponent):
    folder = tmp_path_factory.mktemp("gram")
    _, updates, *_ = random_files(folder)
    plain = flat_gram(*write_all(folder, 0 * updates[0], updates))
    scaled = flat_gram(*write_all(folder, 0 * updates[0], 2.0**exponent * np.float32(updates)))
    np.testing.assert_array_equal(scaled, 4.0**exponent * plain)


def test_near_copies_are_told_apart_where_float32_cannot(tmp_path):
    """Honest updates that drifted 1e-4 per weight: their squared distances are 0.04 beside lengths of 2,000,000."""
    rng, size = np.random.default_rng(0), 2_000_000
    common = rng.standard_normal(size, dtype=np.float32)
    updates = np.stack([common + np.float32(1e-4) * rng.standard_normal(size, dtype=np.float32) for _ in range(3)])
    found = flat_gram(*write_all(tmp_path, np.zeros(size), updates))
    naive = updates @ updates.T
    for i, j in [(0, 1), (0, 2), (1, 2)]:
        true = np.square(updates[i].astype(np.float64) - updates[j]).sum()
        assert true == pytest.approx(0.04, rel=0.01)
        assert found[i, i] + found[j, j] - 2 * found[i, j] == pytest.approx(true, rel=1e-3)
        assert naive[i, i] + naive[j, j] - 2 * naive[i, j] != pytest.approx(true, rel=0.5)


def test_equal_updates_have_no_distance(tmp_path):
    _, updates, *_ = random_files(tmp_path)
    found = flat_gram(*write_all(tmp_path, updates[0], [updates[1]] * 3))
    assert len(set(found.ravel().tolist())) == 1
    assert flat_gram(*write_all(tmp_path, updates[0], [updates[0]])).tolist() == [[0.0]]


@pytest.mark.parametrize("size", [1e-30, 1e-20, 1e30, 3.4e38])
def test_extremes_of_float32_are_held(tmp_path, size):
    update = np.float32(size) * np.float32([1, -1, 0.5])
    found = flat_gram(*write_all(tmp_path, np.zeros(3), [update, -update]))
    expected = dense(np.zeros(3), [update, -update])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=0)
    assert not flat_gram(*write_all(tmp_path, np.zeros(3), [[1e-40, 0, 1e-45]])).any()  # what some processors drop


@pytest.mark.parametrize("blocks", [1, 2, 3, 50])
def test_what_is_read_at_once_does_not_change_a_bit(tmp_path, monkeypatch, blocks):
    _, _, start, paths = random_files(tmp_path)
    expected = flat_gram(start, paths)
    monkeypatch.setattr(module, "_BLOCKS", blocks)
    np.testing.assert_array_equal(flat_gram(start, paths), expected)


def test_rows_in_any_memory_layout_give_the_same_bits():
    rows = np.random.default_rng(0).normal(size=(7, WIDTH + 9)).astype(np.float32)
    first, second = np.zeros((7, 7)), np.zeros((7, 7))
    add_gram(first, rows)
    add_gram(second, np.asfortranarray(rows))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("threads", "core"), [("1", None), ("2", None), ("2", "Nehalem")])
def test_threads_and_instruction_sets_do_not_change_a_bit(tmp_path, threads, core):
    _, _, start, paths = random_files(tmp_path, count=40)
    code = (
        "import sys; from pathlib import Path; from contextlib import nullcontext\n"
        "import numpy as np; import atlas.aggregation.algebra.gram as module\n"
        "module.one_blas_thread = nullcontext  # as many as there are\n"
        "base, *updates, out = map(Path, sys.argv[1:]); np.save(out, module.flat_gram(base, updates))"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS")}
    environment["OMP_NUM_THREADS"] = threads
    if core is not None:
        environment |= {"OPENBLAS_CORETYPE": core, "NPY_DISABLE_CPU_FEATURES": BEYOND_BASELINE}
    there = tmp_path / "there.npy"
    subprocess.run([sys.executable, "-c", code, start, *paths, there], check=True, env=environment)
    np.testing.assert_array_equal(np.load(there), flat_gram(start, paths))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, WIDTH + 50])
def test_what_is_not_finite_is_named_with_its_file(tmp_path, value, place):
    _, updates, start, paths = random_files(tmp_path)
    updates[2, place] = value
    write_adapter(paths[2], {"a": np.float32(updates[2])})
    with pytest.raises(AggregationError, match=r"^update2: a holds NaN or infinity"):
        flat_gram(start, paths)
    with pytest.raises(AggregationError, match=r"^update2: a holds NaN or infinity"):
        flat_gram(start, [paths[0]], extra=paths[2])
    assert np.isfinite(flat_gram(start, paths[:2])).all()


def test_a_difference_beyond_float32_is_an_error(tmp_path):
    start, paths = write_all(tmp_path, [3e38], [[3e38], [-3e38]])
    with pytest.raises(AggregationError, match="update1 differs from the base by more than float32 can hold"):
        flat_gram(start, paths)


def test_tensors_that_the_updates_lack_count_nothing(tmp_path):
    write_adapter(tmp_path / "base", {"a": np.float32([5]), "b": np.float32([1]), "c": np.float32([9])})
    for name, value in {"first": 3, "second": 6}.items():
        write_adapter(tmp_path / name, {"b": np.float32([value])})
    assert flat_gram(tmp_path / "base", [tmp_path / "first", tmp_path / "second"]).tolist() == [[4, 10], [10, 25]]
