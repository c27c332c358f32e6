"""qr-svd beside a dense SVD of the product's mean."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.aggregation.strategies import qr_svd
from atlas.aggregation.strategies.low_rank import ProductSum

MODULES = ["model.layer.0.query", "model.layer.1.value"]
seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=25, deadline=None)


def truncated(matrix, rank):
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    return (left[:, :rank] * values[:rank]) @ right[:rank]


def factors(file, module):
    return file[f"{module}.lora_A.weight"], file[f"{module}.lora_B.weight"]


@quick
@given(seeds, st.sampled_from([0.0, 0.2, 1.0]), st.lists(st.integers(1, 3), min_size=1, max_size=6))
def test_no_adapter_of_this_rank_is_nearer_to_the_exact_mean(laboratory, seed, left, ranks):
    one = laboratory.round(seed, tuple(ranks), left=left)
    exact, made = one.exact(), laboratory.combine("qr-svd", one).change()
    for module in MODULES:
        best = np.linalg.norm(exact[module] - truncated(exact[module], 3))
        error = np.linalg.norm(exact[module] - made[module])
        assert error <= best * (1 + 1e-6) + 2e-6 * np.linalg.norm(exact[module])


@quick
@given(seeds, st.floats(1e-6, 1.0))
def test_the_product_is_that_of_the_dense_svd(laboratory, seed, drift):
    one = laboratory.round(seed, drift=drift, left=0.0)
    exact, made = one.exact(), laboratory.combine("qr-svd", one).change()
    for module in MODULES:
        values = np.linalg.svd(exact[module], compute_uv=False)
        gap = (values[2] - values[3]) / values[0]
        difference = np.linalg.norm(made[module] - truncated(exact[module], 3)) / np.linalg.norm(exact[module])
        assert difference <= max(2e-6, 1e-12 / gap)


@quick
@given(seeds)
def test_one_update_gives_its_product_back(laboratory, close, seed):
    one = replace(laboratory.round(seed, (3,)), coefficients=[1.0])
    close(laboratory.combine("qr-svd", one).change(), one.exact(), 1e-6)


@quick
@given(seeds)
def test_both_factors_share_each_size_and_signs_are_canonical(laboratory, seed):
    made = laboratory.combine("qr-svd", laboratory.round(seed))
    for module in MODULES:
        a, b = factors(made.adapter, module)
        sizes = np.linalg.norm(a, axis=1)
        np.testing.assert_allclose(np.linalg.norm(b, axis=0), sizes, rtol=1e-5)
        assert (np.diff(sizes) <= 0).all()
        assert (b[np.abs(b).argmax(axis=0), np.arange(3)] > 0).all()


@pytest.mark.parametrize("ranks", [(1,), (2, 1), (1, 1, 1)])
def test_directions_that_the_mean_lacks_can_still_be_trained(laboratory, close, ranks):
    one = replace(laboratory.round(ranks=ranks, rank=4), coefficients=[1 / len(ranks)] * len(ranks))
    one = replace(one, base={name: part * 0 if ".lora_B." in name else part for name, part in one.base.items()})
    made, found = laboratory.combine("qr-svd", one), sum(ranks)
    close(made.change(), one.exact())
    for module in MODULES:
        a, b = factors(made.adapter, module)
        assert b[:, :found].any(axis=0).all()
        assert not b[:, found:].any()
        assert a.all()


def test_updates_that_cancel_out_leave_an_adapter_that_can_be_trained(laboratory):
    one = laboratory.round(left=0.0)
    opposite = {name: -part if ".lora_B." in name else part for name, part in one.updates[0].items()}
    made = laboratory.combine("qr-svd", replace(one, updates=[one.updates[0], opposite], coefficients=[0.5, 0.5]))
    for module in MODULES:
        a, b = factors(made.adapter, module)
        assert not b.any()
        assert a.all()


def test_more_updates_than_fit_into_the_stacks(laboratory, close, monkeypatch):
    rooms = []

    class Recorded(ProductSum):
        def __init__(self, out, in_, room):
            rooms.append(room)
            super().__init__(out, in_, room)

    one = laboratory.round(ranks=(3, 2, 3, 1) * 10, rank=3, left=0.1)
    monkeypatch.setattr(qr_svd, "ProductSum", Recorded)
    at_once = laboratory.combine("qr-svd", one)
    monkeypatch.setattr(qr_svd, "STACKED_RANK", 30)
    in_batches = laboratory.combine("qr-svd", one)
    close(in_batches.change(), at_once.change())
    assert rooms == [93, 93, 30, 30]
