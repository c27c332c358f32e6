from dataclasses import replace

import numpy as np

MODULES = ["model.layer.0.query", "model.layer.1.value"]


def test_the_adapter_is_the_one_of_fedavg(laboratory):
    one = laboratory.round()
    assert laboratory.combine("fedex", one).files[0] == laboratory.combine("fedavg", one).files[0]


def test_equal_updates_leave_no_residual(laboratory):
    one = laboratory.round(left=0.0)
    equal = replace(one, updates=[one.updates[0]] * 4, coefficients=[0.25] * 4)
    merged = laboratory.combine("fedex", equal).merged
    assert not any(part.any() for part in merged.values())


def test_the_residual_is_what_the_mean_factors_miss(laboratory):
    one = laboratory.round()
    made, mean, exact = laboratory.combine("fedex", one), one.mean(), one.exact()
    for module in MODULES:
        a, b = f"{module}.lora_A.weight", f"{module}.lora_B.weight"
        missing = exact[module] - one.scaling * mean[b] @ mean[a]
        residual = made.merged[b].astype(np.float64) @ made.merged[a]
        np.testing.assert_allclose(residual, missing, atol=1e-5)
        assert np.linalg.norm(missing) > 0.1
