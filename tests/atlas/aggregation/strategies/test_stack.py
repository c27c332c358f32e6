from dataclasses import replace

import numpy as np
import pytest

MODULES = ["model.layer.0.query", "model.layer.1.value"]


def factors(file, module):
    return file[f"{module}.lora_A.weight"], file[f"{module}.lora_B.weight"]


@pytest.mark.parametrize("module", MODULES)
def test_the_next_adapter_has_a_new_a_and_no_product(laboratory, module):
    one = laboratory.round()
    a, b = factors(laboratory.combine("stack", one, seed="round 1").adapter, module)
    other_a, _ = factors(laboratory.combine("stack", one, seed="round 2").adapter, module)
    assert not b.any()
    assert a.all()
    assert not np.array_equal(a, other_a)
    assert [a.shape, b.shape] == [part.shape for part in factors(one.base, module)]


def empty_base(one):
    return replace(one, base={name: part * 0 if ".lora_B." in name else part for name, part in one.base.items()})


@pytest.mark.parametrize("module", MODULES)
def test_the_merged_factors_are_the_updates_side_by_side(laboratory, module):
    one = empty_base(replace(laboratory.round(ranks=(3, 1), left=0.0), coefficients=[0.25, 0.75], scaling=2.0))
    a, b = factors(laboratory.combine("stack", one).merged, module)
    (first_a, first_b), (second_a, second_b) = (factors(update, module) for update in one.updates)
    np.testing.assert_array_equal(a, np.concatenate([first_a, second_a]))
    np.testing.assert_array_equal(b, np.concatenate([first_b * np.float32(0.5), second_b * np.float32(1.5)], axis=1))


def test_a_base_without_a_product_takes_no_room_in_the_merged_factors(laboratory):
    one = laboratory.round(left=0.5)
    for base, rank in ((empty_base(one), 12), (one, 15)):
        merged = laboratory.combine("stack", base).merged
        assert {len(factors(merged, module)[0]) for module in MODULES} == {rank}


def test_a_round_in_which_no_update_counts_merges_nothing(laboratory):
    one = empty_base(laboratory.round())
    made = laboratory.combine("stack", replace(one, coefficients=[0.0] * 4))
    assert not any(made.merged[f"{module}.lora_B.weight"].any() for module in MODULES)
