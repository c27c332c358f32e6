import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.aggregation.coefficients import coefficients_of, geometry_of, geometry_without
from atlas.aggregation.files.adapter_files import write_adapter
from atlas.aggregation.inputs import RoundInputs, Update
from atlas.aggregation.robust import multi_krum
from atlas.aggregation.robust.apply import apply_rule
from atlas.aggregation.robust.registry import RULES
from atlas.aggregation.robust.rule import Rule
from atlas.aggregation.settings import AggregationSpec
from atlas.errors import AggregationError

BY_COEFFICIENTS = sorted(name for name, rule in RULES.items() if rule.coefficients is not None)
A, B = "query.lora_A.weight", "query.lora_B.weight"


def adapter(seed):
    rng = np.random.default_rng(seed)
    return {A: rng.normal(size=(4, 30)).astype(np.float32), B: rng.normal(size=(20, 4)).astype(np.float32)}


@pytest.fixture(scope="module")
def round_of(tmp_path_factory):
    def round_of(weights, rule="none", strategy="fedavg", seeds=None, reference=None, **robust):
        folder = tmp_path_factory.mktemp("round")
        for place, seed in enumerate(range(1, len(weights) + 1) if seeds is None else seeds):
            write_adapter(folder / str(place), adapter(seed))
        write_adapter(folder / "base", adapter(0))
        if reference is not None:
            write_adapter(folder / "reference", adapter(reference))
        return RoundInputs(
            settings=AggregationSpec(strategy=strategy, robust={"rule": rule} | robust),
            round=1,
            seed="seed",
            scaling=2.0,
            base=folder / "base",
            updates=tuple(Update(f"s{place:03d}", folder / str(place), w) for place, w in enumerate(weights)),
            reference=folder / "reference" if reference is not None else None,
        )

    return round_of


@settings(max_examples=20, deadline=None)
@given(weights=st.lists(st.integers(1, 2**53), min_size=1, max_size=6))
def test_without_a_rule_rows_are_shares(round_of, weights):
    found = coefficients_of(round_of(weights))
    assert math.fsum(found) == pytest.approx(1, abs=1e-15)
    assert found == [weight / sum(weights) for weight in weights]


def test_without_a_rule_no_file_is_read(round_of):
    inputs = round_of([1, 3])
    inputs.updates[0].path.write_bytes(b"")
    assert coefficients_of(inputs) == [0.25, 0.75]


@pytest.mark.parametrize("rule", BY_COEFFICIENTS)
def test_coefficients_are_shares_of_one_at_most(round_of, rule):
    found = coefficients_of(round_of([5, 1, 3, 2, 2, 4, 9], rule, reference=20))
    assert len(found) == 7
    assert min(found) >= 0
    assert math.fsum(found) <= 1 + 1e-9


@pytest.mark.parametrize("rule", BY_COEFFICIENTS)
@pytest.mark.parametrize("strategy", ["fedavg", "qr-svd"])
def test_a_rule_sees_the_rounds_geometry(round_of, rule, strategy):
    inputs = round_of([5, 1, 3, 2], rule, strategy, reference=20, bucket_size=2, tolerated=0.2)
    expected = apply_rule(
        RULES[rule], geometry_of(inputs), inputs.settings.robust, ["s000", "s001", "s002", "s003"], "seed"
    )
    assert coefficients_of(inputs) == expected.tolist()


def test_flat_strategies_compare_numbers_and_others_products(round_of):
    base, updates = adapter(0), [adapter(seed) for seed in (1, 2)]
    flat = [np.concatenate([(update[name] - base[name]).ravel() for name in (A, B)]) for update in updates]
    wide = [{name: tensor.astype(np.float64) for name, tensor in one.items()} for one in (base, *updates)]
    product = [2.0 * (update[B] @ update[A] - wide[0][B] @ wide[0][A]).ravel() for update in wide[1:]]
    for strategy, changes in [("fedavg", flat), ("qr-svd", product)]:
        geometry = geometry_of(round_of([1, 3], strategy=strategy))
        np.testing.assert_allclose(geometry.gram, np.inner(changes, changes), rtol=1e-4)
        assert geometry.weights.tolist() == [0.25, 0.75]
        assert geometry.reference is None


@pytest.mark.parametrize("strategy", ["fedavg", "qr-svd"])
def test_the_reference_is_measured_like_an_update(round_of, strategy):
    whole = geometry_of(round_of([1, 1, 1], strategy=strategy, seeds=[1, 2, 9])).gram
    geometry = geometry_of(round_of([1, 1], strategy=strategy, seeds=[1, 2], reference=9))
    np.testing.assert_array_equal(geometry.gram, whole[:2, :2])
    np.testing.assert_array_equal(geometry.reference, whole[:2, 2])
    assert geometry.reference_square == whole[2, 2]


@pytest.mark.parametrize("weights", [[], [1, 0], [-1]])
@pytest.mark.parametrize("rule", ["none", "centered-clipping"])
def test_a_round_needs_updates_with_rows(round_of, weights, rule):
    with pytest.raises(AggregationError):
        coefficients_of(round_of(weights, rule))


def test_fltrust_needs_the_reference(round_of):
    with pytest.raises(AggregationError, match="reference"):
        coefficients_of(round_of([1, 1], "fltrust"))


@pytest.mark.parametrize("found", [[math.nan, 0.5], [-0.1, 0.5], [0.6, 0.6]])
def test_impossible_coefficients_never_reach_the_sum(round_of, monkeypatch, found):
    rule = Rule("median", "a rule gone wrong", coefficients=lambda geometry, spec: np.array(found))
    monkeypatch.setattr(multi_krum, "RULE", rule)
    with pytest.raises(AggregationError, match="from zero with a sum of one at most"):
        coefficients_of(round_of([1, 1], "multi-krum"))


@pytest.mark.parametrize("strategy", ["fedavg", "qr-svd"])
@pytest.mark.parametrize("left_out", range(4))
def test_the_geometry_without_an_update_is_that_of_the_others_to_the_bit(round_of, strategy, left_out):
    weights, seeds = [5, 1, 3, 2], [1, 2, 3, 4]
    inputs = round_of(weights, strategy=strategy, seeds=seeds, reference=20)
    kept = [place for place in range(4) if place != left_out]
    others = round_of(
        [weights[place] for place in kept], strategy=strategy, seeds=[seeds[place] for place in kept], reference=20
    )
    found, expected = geometry_without(geometry_of(inputs), inputs, left_out), geometry_of(others)
    assert found.gram.tobytes() == expected.gram.tobytes()
    assert found.reference.tobytes() == expected.reference.tobytes()
    assert found.weights.tolist() == expected.weights.tolist()
    assert found.reference_square == expected.reference_square


@pytest.mark.parametrize("rule", BY_COEFFICIENTS)
def test_coefficients_from_a_shared_geometry_read_no_file(round_of, rule):
    inputs = round_of([5, 1, 3, 2], rule, reference=20)
    geometry, expected = geometry_of(inputs), coefficients_of(inputs)
    inputs.updates[0].path.write_bytes(b"")
    assert coefficients_of(inputs, geometry) == expected


def test_nothing_is_left_of_a_round_of_one_update(round_of):
    inputs = round_of([5])
    with pytest.raises(AggregationError, match="needs updates"):
        geometry_without(geometry_of(inputs), inputs, 0)
