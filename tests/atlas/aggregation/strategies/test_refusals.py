"""Files that do not fit are refused in words that name them."""

from dataclasses import replace

import numpy as np
import pytest

from atlas.aggregation.strategies.registry import STRATEGIES
from atlas.errors import AggregationError

A, B, HEAD = "model.layer.0.query.lora_A.weight", "model.layer.0.query.lora_B.weight", "model.classifier.weight"
PRODUCTS = ["stack", "qr-svd", "fedex"]


def refusal(laboratory, strategy, one):
    with pytest.raises(AggregationError) as caught:
        laboratory.combine(strategy, one)
    return str(caught.value)


def with_change(one, change, index=1):
    updates = [file | change if number == index else file for number, file in enumerate(one.updates)]
    return replace(one, updates=[{name: part for name, part in file.items() if part is not None} for file in updates])


def zeros(*shape):
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize("strategy", ["fedavg", *PRODUCTS])
@pytest.mark.parametrize("name", [A, B, HEAD])
def test_an_update_without_a_tensor(laboratory, strategy, name):
    text = refusal(laboratory, strategy, with_change(laboratory.round(), {name: None}))
    assert "update1" in text
    assert name in text


@pytest.mark.parametrize("strategy", PRODUCTS)
def test_updates_that_all_lack_a_factor(laboratory, strategy):
    assert f"update0 lacks {A}" in refusal(laboratory, strategy, laboratory.round(frozen="A"))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_update_with_a_tensor_that_the_base_lacks(laboratory, strategy):
    one = laboratory.round(frozen=STRATEGIES[strategy].frozen_factor(1))
    text = refusal(laboratory, strategy, with_change(one, {"model.strange.weight": zeros(2)}))
    assert "update1" in text
    assert "model.strange.weight" in text


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    ("name", "shape"), [(B, (12, 3)), (B, (11, 4)), (B, (33,)), (HEAD, (6, 2))], ids=["out", "rank", "flat", "head"]
)
def test_an_update_of_another_shape(laboratory, strategy, name, shape):
    one = laboratory.round(frozen=STRATEGIES[strategy].frozen_factor(1))
    text = refusal(laboratory, strategy, with_change(one, {name: zeros(*shape)}))
    assert "update1" in text
    assert name in text
    assert str(list(shape)) in text
    assert str(list(one.base[name].shape)) in text


@pytest.mark.parametrize("strategy", PRODUCTS)
def test_factors_of_a_higher_rank(laboratory, strategy):
    text = refusal(laboratory, strategy, with_change(laboratory.round(), {A: zeros(4, 7), B: zeros(11, 4)}))
    assert f"update1: {A} is [4, 7], expected [3, 7]" in text


@pytest.mark.parametrize("strategy", ["stack", "qr-svd"])
def test_factors_of_unequal_rank(laboratory, strategy):
    text = refusal(laboratory, strategy, with_change(laboratory.round(), {A: zeros(2, 7)}))
    assert "update1: model.layer.0.query has A [2, 7] and B [11, 3]" in text


@pytest.mark.parametrize("strategy", [name for name, strategy in STRATEGIES.items() if not strategy.mixed_ranks])
def test_a_lower_rank_where_ranks_may_not_be_mixed(laboratory, strategy):
    one = laboratory.round(ranks=(3, 2, 3, 3), frozen=STRATEGIES[strategy].frozen_factor(1))
    text = refusal(laboratory, strategy, one)
    assert "update1: model.layer.0.query.lora_" in text
    assert "expected [3, 7]" in text or "expected [11, 3]" in text


def test_ffa_takes_no_a(laboratory):
    one = laboratory.round(frozen="A")
    assert f"update1 holds {A}" in refusal(laboratory, "ffa", with_change(one, {A: zeros(3, 7)}))
    assert "holds" in refusal(laboratory, "ffa", laboratory.round())


def test_rolora_takes_one_factor(laboratory):
    assert "all but the As or all but the Bs" in refusal(laboratory, "rolora", laboratory.round())
    mixed = laboratory.round(frozen="A")
    only_a = laboratory.round(frozen="B").updates[1]
    text = refusal(laboratory, "rolora", replace(mixed, updates=[mixed.updates[0], only_a, *mixed.updates[2:]]))
    assert "update1" in text


@pytest.mark.parametrize("strategy", PRODUCTS)
@pytest.mark.parametrize("missing", [A, B])
def test_a_base_with_half_a_module(laboratory, strategy, missing):
    one = laboratory.round()
    base = {name: part for name, part in one.base.items() if name != missing}
    text = refusal(laboratory, strategy, replace(one, base=base, updates=[base] * 4))
    assert f"base lacks {missing}" in text


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", [B, HEAD])
def test_numbers_that_are_not_finite(laboratory, strategy, value, name):
    one = laboratory.round(frozen=STRATEGIES[strategy].frozen_factor(1))
    text = refusal(laboratory, strategy, with_change(one, {name: one.updates[1][name] * np.float32(value)}))
    assert f"update1: {name} holds NaN or infinity" in text


@pytest.mark.parametrize("strategy", ["stack", "fedex"])
def test_products_beyond_float32(laboratory, strategy):
    one = laboratory.round()
    huge = replace(with_change(one, {B: np.full((11, 3), 3e38, np.float32)}), scaling=1e6)
    assert f"{B} exceeds float32" in refusal(laboratory, strategy, huge)
