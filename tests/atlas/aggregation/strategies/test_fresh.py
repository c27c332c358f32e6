import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.aggregation.files.factors import EMBEDDING, LINEAR
from atlas.aggregation.strategies.fit import Module
from atlas.aggregation.strategies.fresh import fresh_factor, fresh_factors

PINNED = [
    "0x1.e1e9c80000000p-4",
    "0x1.99e5f00000000p-5",
    "0x1.9c30280000000p-4",
    "-0x1.cac01c0000000p-3",
    "-0x1.8ac56a0000000p-2",
    "0x1.b002020000000p-2",
    "-0x1.ed9ece0000000p-2",
    "0x1.a3ed020000000p-2",
]


def test_the_values_never_change():
    found = fresh_factor("seed", "layer.lora_A.weight", (2, 4), math.sqrt(4))
    assert found.dtype == np.float32
    assert [value.hex() for value in found.reshape(-1).tolist()] == PINNED


@given(st.text(), st.text(), st.integers(1, 20), st.integers(1, 50))
def test_values_lie_in_the_range_of_peft(seed, name, rank, width):
    found = fresh_factor(seed, name, (rank, width), math.sqrt(width))
    assert found.shape == (rank, width)
    assert (np.abs(found) <= np.float32(1 / np.sqrt(width))).all()
    assert found.all()


def test_values_are_uniform():
    found = fresh_factor("seed", "layer", (256, 1024), math.sqrt(1024)) * 32
    counts, _ = np.histogram(found, bins=16, range=(-1, 1))
    np.testing.assert_allclose(counts, found.size / 16, rtol=0.05)
    assert abs(np.corrcoef(found[:-1].reshape(-1), found[1:].reshape(-1))[0, 1]) < 0.01


@pytest.mark.parametrize("other", [("seed2", "layer"), ("seed", "layer2")])
def test_seed_and_name_decide(other):
    first = fresh_factor("seed", "layer", (4, 8), 1.0)
    assert np.array_equal(first, fresh_factor("seed", "layer", (4, 8), 1.0))
    assert not np.isin(first, fresh_factor(*other, (4, 8), 1.0)).any()


def test_a_linear_layer_starts_with_a_drawn_and_b_zero():
    a, b = fresh_factors("seed", Module("layer", LINEAR, out=3, rank=2, in_=4))
    assert [value.hex() for value in a.reshape(-1).tolist()] == PINNED
    assert b.shape == (3, 2)
    assert not b.any()


def test_an_embedding_starts_with_a_zero_and_b_of_variance_one():
    a, b = fresh_factors("seed", Module("tokens", EMBEDDING, out=512, rank=64, in_=30))
    assert a.shape == (64, 30)
    assert not a.any()
    assert b.shape == (512, 64)
    assert abs(b).max() <= np.float32(math.sqrt(3))
    assert abs(float(b.var()) - 1) < 0.02
    assert abs(float(b.mean())) < 0.02
