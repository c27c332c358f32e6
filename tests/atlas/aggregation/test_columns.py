import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from atlas.aggregation import columns as module
from atlas.aggregation.columns import reduce_columns
from atlas.aggregation.files.adapter_files import write_adapter
from atlas.aggregation.inputs import RoundInputs, Update
from atlas.aggregation.robust.bucketing import buckets
from atlas.aggregation.robust.registry import RULES
from atlas.aggregation.robust.rule import Rule
from atlas.aggregation.settings import AggregationSpec
from atlas.errors import AggregationError

BY_COLUMNS = sorted(name for name, rule in RULES.items() if rule.columns is not None)
SIZE = 3000
BEYOND_BASELINE = "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"  # of NumPy's instruction sets


@pytest.fixture(scope="module")
def round_of(tmp_path_factory):
    def round_of(rows, rule="median", base=None, weights=None, **robust):
        """A round whose updates hold these rows, in tensors a and b."""
        folder = tmp_path_factory.mktemp("round")
        rows = [np.float32(row) for row in rows]
        base = {"a": rows[0][:1] + 7, "b": rows[0][1:] - 7} if base is None else base
        for name, tensors in [
            ("base", base),
            *((str(place), {"a": r[:1], "b": r[1:]}) for place, r in enumerate(rows)),
        ]:
            write_adapter(folder / name, tensors)
        return RoundInputs(
            settings=AggregationSpec(robust={"rule": rule} | robust),
            round=1,
            seed="seed",
            scaling=2.0,
            base=folder / "base",
            updates=tuple(
                Update(f"s{place:03d}", folder / str(place), weights[place] if weights else 10)
                for place in range(len(rows))
            ),
        )

    return round_of


def reduce(inputs):
    return reduce_columns(inputs, RULES[inputs.settings.robust.rule], inputs.base.parent).read_bytes()


def row(inputs):
    reduce(inputs)
    tensors = load_file(inputs.base.parent / "adapter.safetensors")
    return np.concatenate([tensors["a"], tensors["b"]])


def random_rows(count, seed=0, size=SIZE):
    return np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32)


@pytest.mark.parametrize("count", [1, 2, 3, 10, 50, 101])
def test_the_median_is_numpys(round_of, count):
    rows = random_rows(count)
    np.testing.assert_array_equal(row(round_of(rows)), np.median(rows.astype(np.float64), axis=0).astype(np.float32))


@pytest.mark.parametrize(("count", "trim"), [(1, 0), (2, 0), (10, 3), (50, 15), (101, 30)])
def test_the_trimmed_mean_leaves_out_the_extremes(round_of, count, trim):
    rows = random_rows(count)
    kept = np.sort(rows.astype(np.float64), axis=0)[trim : count - trim]
    np.testing.assert_allclose(row(round_of(rows, "trimmed-mean")), kept.mean(axis=0), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("rule", BY_COLUMNS)
def test_the_order_of_nodes_does_not_change_a_byte(round_of, rule):
    rows = np.concatenate([random_rows(6, size=50), np.zeros((2, 50)), np.full((1, 50), -0.0)])
    found = {
        reduce(round_of(rows[list(order)], rule, base={"a": rows[0][:1], "b": rows[0][1:]}))
        for order in itertools.islice(itertools.permutations(range(9)), 0, None, 30_000)
    }
    assert len(found) == 1


@settings(max_examples=20, deadline=None)
@given(
    rule=st.sampled_from(BY_COLUMNS),
    values=st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=2, max_size=20),
    count=st.integers(1, 9),
    bucket=st.integers(1, 3),
)
def test_equal_updates_give_themselves(round_of, rule, values, count, bucket):
    rows = [values] * count
    found = row(round_of(rows, rule, bucket_size=bucket, tolerated=0.1))
    assert found.tobytes() == (np.float32(values) + np.float32(0)).tobytes()


@settings(max_examples=15, deadline=None)
@given(rule=st.sampled_from(BY_COLUMNS), exponent=st.integers(-20, 20), count=st.integers(1, 8))
def test_the_result_scales_with_the_inputs(round_of, rule, exponent, count):
    rows = random_rows(count, size=40)
    scaled = row(round_of(rows * np.float32(2.0**exponent), rule))
    np.testing.assert_array_equal(scaled, row(round_of(rows, rule)) * np.float32(2.0**exponent))


@pytest.mark.parametrize("rule", BY_COLUMNS)
def test_a_few_false_updates_move_nothing_far(round_of, rule):
    honest = random_rows(7)
    false = np.full((3, SIZE), 1e30, np.float32)
    found = row(round_of([*honest, *false], rule))
    assert (found >= honest.min(axis=0)).all()
    assert (found <= honest.max(axis=0)).all()


def test_in_buckets_the_rule_sees_weighted_means(round_of):
    rows, weights = random_rows(7), [1, 2, 3, 4, 5, 6, 7]
    inputs = round_of(rows, weights=weights, bucket_size=2, tolerated=0.1)
    groups = buckets([update.shard for update in inputs.updates], 2, "seed")
    assert sorted(len(group) for group in groups) == [1, 2, 2, 2]
    means = [np.average(rows[g].astype(np.float64), axis=0, weights=np.take(weights, g)) for g in groups]
    np.testing.assert_allclose(row(inputs), np.median(means, axis=0), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("rule", BY_COLUMNS)
def test_tensors_that_the_updates_lack_are_the_bases(round_of, rule):
    rows = random_rows(3)
    base = {"a": rows[0][:1], "b": rows[0][1:], "frozen": np.float32([1, -0.0, 3])}
    inputs = round_of(rows, rule, base=base)
    reduce(inputs)
    found = load_file(inputs.base.parent / "adapter.safetensors")
    assert found["frozen"].tobytes() == base["frozen"].tobytes()
    assert list(found) == ["a", "b", "frozen"]


@pytest.mark.parametrize("rule", BY_COLUMNS)
@pytest.mark.parametrize("block", [4, 100_000, 8 * 2**20])
def test_block_sizes_do_not_change_a_byte(round_of, monkeypatch, rule, block):
    inputs = round_of(random_rows(20), rule)
    expected = reduce(inputs)
    monkeypatch.setattr(module, "BLOCK_BYTES", block)
    monkeypatch.setattr(module, "_NARROWEST", 7)
    assert reduce(inputs) == expected


@pytest.mark.parametrize("rule", BY_COLUMNS)
@pytest.mark.parametrize("threads", ["1", "2"])
def test_processes_and_threads_do_not_change_a_byte(round_of, rule, threads):
    inputs = round_of(random_rows(20), rule)
    code = (
        "import sys; from pathlib import Path; from atlas.aggregation.columns import reduce_columns\n"
        "from atlas.aggregation.inputs import RoundInputs, Update\n"
        "from atlas.aggregation.robust.registry import RULES\n"
        "from atlas.aggregation.settings import AggregationSpec\n"
        "rule, base, *paths = sys.argv[1:]\n"
        "updates = tuple(Update(f's{i:03d}', Path(path), 10) for i, path in enumerate(paths))\n"
        "inputs = RoundInputs(AggregationSpec(robust={'rule': rule}), 1, 'seed', 2.0, Path(base), updates)\n"
        "sys.stdout.buffer.write(reduce_columns(inputs, RULES[rule], Path(base).parent).read_bytes())"
    )
    paths = [update.path for update in inputs.updates]
    environment = os.environ | {
        "OMP_NUM_THREADS": threads,
        "NPY_DISABLE_CPU_FEATURES": BEYOND_BASELINE if threads == "2" else "",
    }
    command = [sys.executable, "-c", code, rule, inputs.base, *paths]
    assert subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE).stdout == reduce(inputs)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rule", BY_COLUMNS)
def test_what_is_not_finite_is_named_with_its_file(round_of, rule, value):
    rows = random_rows(10)
    rows[4, 2000] = value
    inputs = round_of(rows, rule)
    with pytest.raises(AggregationError, match=r"^4: b holds NaN or infinity"):
        reduce(inputs)
    assert not (inputs.base.parent / "adapter.safetensors").exists()


def test_a_rule_of_coefficients_has_no_columns(round_of):
    rule = Rule("by-coefficients", "no columns", coefficients=lambda geometry, spec: geometry.weights)
    inputs = round_of(random_rows(2))
    with pytest.raises(AggregationError, match="by-coefficients gives coefficients"):
        reduce_columns(inputs, rule, inputs.base.parent)
