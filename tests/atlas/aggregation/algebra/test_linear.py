import itertools
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from atlas.aggregation.algebra import linear
from atlas.aggregation.algebra.linear import combine_linear
from atlas.aggregation.files.adapter_files import write_adapter
from atlas.errors import AggregationError

BEYOND_BASELINE = "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"  # of NumPy's instruction sets
WEIGHTS = st.lists(st.integers(1, 10**6), min_size=1, max_size=6)


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@pytest.fixture
def write(folder):
    numbers = itertools.count()

    def write(seed=0, scale=1.0, **tensors):
        rng = np.random.default_rng(seed)
        found = {"b": rng.normal(0, scale, (3, 5)), "a": rng.normal(0, scale, 700)} | tensors
        path = folder / f"update{next(numbers)}.safetensors"
        write_adapter(path, {name: np.float32(value) for name, value in found.items() if value is not None})
        return path

    return write


@pytest.fixture
def combine(folder):
    def combine(base, updates, coefficients):
        combine_linear(base, updates, coefficients, folder / "out.safetensors")
        return (folder / "out.safetensors").read_bytes()

    return combine


def shares(weights):
    return [weight / sum(weights) for weight in weights]


def loaded(data, folder):
    (folder / "loaded").write_bytes(data)
    return load_file(folder / "loaded")


class Case:
    """A base and updates of one tensor each, for properties over many examples."""

    def __init__(self, folder, base, updates):
        self.folder, self.base, self.updates = folder, np.float32(base), [np.float32(update) for update in updates]
        write_adapter(folder / "base", {"a": self.base})
        for place, update in enumerate(self.updates):
            write_adapter(folder / str(place), {"a": update})

    def combine(self, coefficients, order=None):
        order = range(len(self.updates)) if order is None else order
        paths = [self.folder / str(place) for place in order]
        combine_linear(self.folder / "base", paths, coefficients, self.folder / "out")
        return load_file(self.folder / "out")["a"]


def random_case(folder, count, seed=0, factor=1.0):
    rng = np.random.default_rng(seed)
    return Case(folder, factor * rng.normal(size=97), factor * rng.normal(size=(count, 97)))


@settings(max_examples=40, deadline=None)
@given(weights=WEIGHTS, total=st.sampled_from([1.0, 0.7, 0.0]), seed=st.integers(0, 9))
def test_equals_a_dense_reference(tmp_path_factory, weights, total, seed):
    one = random_case(tmp_path_factory.mktemp("case"), len(weights), seed)
    coefficients = [total * share for share in shares(weights)]
    wide = one.base.astype(np.float64)
    dense = wide + sum(c * (update - wide) for c, update in zip(coefficients, one.updates, strict=True))
    np.testing.assert_allclose(one.combine(coefficients), dense, rtol=1.2e-7, atol=1e-14)


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20),
    weights=WEIGHTS,
)
def test_equal_updates_give_themselves_byte_for_byte(tmp_path_factory, values, weights):
    one = Case(tmp_path_factory.mktemp("case"), np.full(len(values), 3e38), [values] * len(weights))
    assert one.combine(shares(weights)).tobytes() == np.float32(values).tobytes()


@settings(max_examples=25, deadline=None)
@given(data=st.data(), weights=WEIGHTS)
def test_the_order_of_nodes_changes_a_rounding_at_most(tmp_path_factory, data, weights):
    one = random_case(tmp_path_factory.mktemp("case"), len(weights))
    order = data.draw(st.permutations(range(len(weights))))
    coefficients = shares(weights)
    found = one.combine([coefficients[place] for place in order], order)
    np.testing.assert_allclose(found, one.combine(coefficients), rtol=1.2e-7, atol=1e-14)


@settings(max_examples=25, deadline=None)
@given(weights=WEIGHTS, split=st.integers(0, 5))
def test_a_node_split_in_two_with_half_the_weight_counts_the_same(tmp_path_factory, weights, split):
    one = random_case(tmp_path_factory.mktemp("case"), len(weights))
    split %= len(weights)
    order = [*range(len(weights)), split]
    halves = [weight / 2 if place == split else weight for place, weight in enumerate(weights)]
    found = one.combine(shares([*halves, weights[split] / 2]), order)
    np.testing.assert_allclose(found, one.combine(shares(weights)), rtol=1.2e-7, atol=1e-14)


@settings(max_examples=25, deadline=None)
@given(weights=WEIGHTS, exponent=st.integers(-20, 20))
def test_the_result_scales_with_the_inputs(tmp_path_factory, weights, exponent):
    plain = random_case(tmp_path_factory.mktemp("plain"), len(weights)).combine(shares(weights))
    scaled = random_case(tmp_path_factory.mktemp("scaled"), len(weights), factor=2.0**exponent).combine(shares(weights))
    np.testing.assert_array_equal(scaled, np.float32(2.0**exponent) * plain)


def test_one_node_gives_its_own_file(write, combine):
    base, update = write(1), write(2)
    assert combine(base, [update], [1.0]) == update.read_bytes()
    assert combine(base, [update], [0.0]) == base.read_bytes()
    assert combine(base, [], []) == base.read_bytes()


def test_tensors_that_the_updates_lack_are_the_bases(write, combine, folder):
    base, updates = write(1, c=[7.0]), [write(seed, b=None, c=None) for seed in (2, 3)]
    found, start = loaded(combine(base, updates, [0.5, 0.5]), folder), load_file(base)
    assert list(found) == ["a", "b", "c"]
    for name in "bc":
        np.testing.assert_array_equal(found[name], start[name])
    first, second = (load_file(update)["a"].astype(np.float64) for update in updates)
    np.testing.assert_array_equal(found["a"], np.float32((first + second) / 2))


def test_the_metadata_of_an_input_does_not_matter(write, combine, folder):
    base, update = write(1), write(2)
    save_file(load_file(update), folder / "other", metadata={"who": "else"})
    assert (folder / "other").read_bytes() != update.read_bytes()
    assert combine(base, [folder / "other"], [1.0]) == update.read_bytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named_with_its_file(write, combine, folder, value):
    base, good, bad = write(1), write(2), write(3, b=np.full((3, 5), value))
    with pytest.raises(AggregationError, match=rf"^{bad.name}: b holds NaN or infinity"):
        combine(base, [good, bad], [0.9, 0.1])
    assert not [path for path in folder.iterdir() if path.name.startswith("out")]
    assert combine(base, [good, bad], [1.0, 0.0]) == good.read_bytes()  # left out is not read


def test_a_sum_beyond_float32_is_an_error(write, combine):
    base, high = write(1), write(2, a=np.full(700, 3e38))
    with pytest.raises(AggregationError, match="exceeds float32 in or after a"):
        combine(base, [high, high], [1.0, 1.0])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"b": None}, "only one has b"),
        ({"c": [1.0]}, "only one has c"),
        ({"b": np.ones((5, 3))}, r"b is \[5, 3\], expected \[3, 5\]"),
    ],
)
def test_files_that_do_not_fit_are_refused(write, combine, changes, words):
    odd = write(3, **changes)
    with pytest.raises(AggregationError, match=rf"^{odd.name}.*{words}"):
        combine(write(1), [write(2), odd], [0.5, 0.5])


def test_updates_may_hold_nothing_that_the_base_lacks(write, combine):
    with pytest.raises(AggregationError, match="c is not among the tensors of the base"):
        combine(write(1), [write(2, c=[1.0])], [1.0])
    with pytest.raises(ValueError, match="shorter"):
        combine(write(1), [write(2)], [])


@pytest.mark.parametrize(
    ("block", "part"), [(1, 1), (7, 1), (7, 3), (64, 64), (715, 100), (716, 714), (10_000, 7), (10_000, 10_000)]
)
def test_block_sizes_do_not_change_a_byte(write, combine, monkeypatch, block, part):
    base, updates = write(1), [write(seed) for seed in (2, 3, 4)]
    expected = combine(base, updates, [0.2, 0.3, 0.4])
    monkeypatch.setattr(linear, "BLOCK", block)
    monkeypatch.setattr(linear, "PART", part)
    assert combine(base, updates, [0.2, 0.3, 0.4]) == expected


@pytest.mark.parametrize("threads", ["1", "2"])
def test_processes_and_threads_do_not_change_a_byte(write, combine, folder, threads):
    base, updates = write(1), [write(seed) for seed in (2, 3, 4)]
    code = (
        "import sys; from pathlib import Path; from atlas.aggregation.algebra.linear import combine_linear\n"
        "base, *updates, out = map(Path, sys.argv[1:]); combine_linear(base, updates, [0.2, 0.3, 0.4], out)"
    )
    environment = os.environ | {"OMP_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
    if threads == "2":
        environment["NPY_DISABLE_CPU_FEATURES"] = BEYOND_BASELINE
    subprocess.run([sys.executable, "-c", code, base, *updates, folder / "there"], check=True, env=environment)
    assert (folder / "there").read_bytes() == combine(base, updates, [0.2, 0.3, 0.4])


def test_memory_does_not_grow_with_the_number_of_updates(write, combine):
    base, update = write(1, a=np.zeros(500_000)), write(2, a=np.ones(500_000))

    def peak(count):
        tracemalloc.start()
        combine(base, [update] * count, [1 / count] * count)
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(100) < peak(2) + 500_000  # one update takes 2,000,000
