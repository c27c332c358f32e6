import numpy as np
import pytest

from benchmarks.aggregation.federated.attacks import ATTACKS, NOISE, Scene


@pytest.fixture
def scene() -> Scene:
    draw = np.random.default_rng(1)
    base = {"a": draw.standard_normal((3, 40)).astype(np.float32), "b": np.zeros(7, np.float32)}
    updates = [
        {name: values + (0.5 + draw.standard_normal(values.shape)).astype(np.float32) for name, values in base.items()}
        for _ in range(8)
    ]
    return Scene(base, updates[:7], updates[7], 10, seed=2)


def change(scene: Scene, tensors: dict) -> np.ndarray:
    return np.concatenate([(tensors[name] - scene.base[name]).ravel() for name in sorted(tensors)]).astype(np.float64)


def sent(scene: Scene, attack: str) -> np.ndarray:
    return change(scene, ATTACKS[attack].update(scene))


def test_nan_and_infinity_are_in_every_tensor(scene):
    for attack, found in (("nan", np.isnan), ("inf", np.isinf)):
        assert all(found(values).any() for values in ATTACKS[attack].update(scene).values())
    assert np.isfinite(change(scene, scene.own)).all()


def test_a_flipped_sign_undoes_the_change(scene):
    np.testing.assert_allclose(sent(scene, "sign-flip"), -change(scene, scene.own), atol=1e-6)
    np.testing.assert_allclose(sent(scene, "scaled"), -100 * change(scene, scene.own), rtol=1e-4, atol=1e-4)


def test_a_little_stays_near_the_honest_mean_on_one_side(scene):
    honest = np.stack([change(scene, one) for one in scene.honest])
    z = 0.1800  # Φ⁻¹((10 - 3 - 3) / 7), as in the paper's formula for 3 attackers of 10
    expected = honest.mean(0) - z * honest.std(0)
    noise = np.linalg.norm(sent(scene, "alie") - expected) / np.linalg.norm(expected)
    assert noise == pytest.approx(NOISE, rel=0.2)


def test_the_inner_product_attack_turns_the_mean_around(scene):
    honest = np.stack([change(scene, one) for one in scene.honest])
    mean = (honest.sum(0) + 3 * sent(scene, "inner-product")) / 10
    assert mean @ honest.mean(0) < 0


def test_attackers_who_agree_send_no_copies(scene):
    one, two = (sent(Scene(scene.base, scene.honest, scene.own, 10, seed), "inner-product") for seed in (1, 2))
    assert one @ two / np.linalg.norm(one) / np.linalg.norm(two) < 0.98
