"""Each optimizer against its paper's formula, computed in another way."""

import math

import numpy as np
import pytest
from safetensors.numpy import load_file

from atlas.aggregation.outer.registry import OPTIMIZERS
from atlas.aggregation.outer.settings import OuterSpec

NAMES = ("layer.q.lora_A.weight", "layer.q.lora_B.weight", "model.head.weight")


def test_nesterov_is_torch_sgd_with_nesterov_momentum(rounds, tensors, read, tmp_path):
    torch = pytest.importorskip("torch")
    spec = OuterSpec(optimizer="nesterov", learning_rate=0.5, momentum=0.8)
    done = rounds(spec, [tensors(seed, 0.1) for seed in range(1, 6)])
    for name in NAMES:
        weight = torch.nn.Parameter(torch.from_numpy(read(tmp_path / "base.safetensors")[name]).double())
        optimizer = torch.optim.SGD([weight], lr=0.5, momentum=0.8, nesterov=True)
        for number, (adapter, state) in enumerate(done):
            combined = read(tmp_path / f"run-{number}" / "combined.safetensors")[name]
            weight.grad = weight.detach() - torch.from_numpy(combined).double()
            optimizer.step()
            np.testing.assert_allclose(read(adapter)[name], weight.detach().numpy(), rtol=1e-6)
            momentum = optimizer.state[weight]["momentum_buffer"]
            np.testing.assert_allclose(load_file(state)[f"momentum.{name}"], momentum.numpy(), rtol=1e-12, atol=1e-15)
            weight.data = torch.from_numpy(read(adapter)[name]).double()


@pytest.mark.parametrize("optimizer", ["adam", "yogi"])
def test_adam_and_yogi_follow_their_paper(optimizer, rounds, tensors, read, tmp_path):
    rate, beta1, beta2, tau = 0.05, 0.8, 0.9, 0.02
    spec = OuterSpec(optimizer=optimizer, learning_rate=rate, momentum=beta1, second_momentum=beta2, adaptivity=tau)
    done = rounds(spec, [tensors(seed, 0.1 / seed) for seed in range(1, 7)])
    for name in NAMES:
        size = read(tmp_path / "base.safetensors")[name].size
        first, second = [0.0] * size, [tau**2] * size
        base = read(tmp_path / "base.safetensors")[name].ravel().tolist()
        for number, (adapter, state) in enumerate(done):
            combined = read(tmp_path / f"run-{number}" / "combined.safetensors")[name].ravel().tolist()
            expected = []
            for i in range(size):
                delta = combined[i] - base[i]
                first[i] = beta1 * first[i] + (1 - beta1) * delta
                if optimizer == "adam":
                    second[i] = beta2 * second[i] + (1 - beta2) * delta**2
                else:
                    sign = (second[i] > delta**2) - (second[i] < delta**2)
                    second[i] -= (1 - beta2) * delta**2 * sign
                expected.append(base[i] + rate * first[i] / (math.sqrt(second[i]) + tau))
            base = read(adapter)[name].ravel().tolist()
            np.testing.assert_allclose(base, expected, rtol=1e-6)
            kept = load_file(state)
            np.testing.assert_allclose(kept[f"momentum.{name}"].ravel(), first, rtol=1e-12, atol=1e-15)
            np.testing.assert_allclose(kept[f"second.{name}"].ravel(), second, rtol=1e-12)


def test_yogi_forgets_a_large_change_more_slowly_than_adam(rounds):
    changes = [{name: np.float32(size) for name in NAMES} for size in (1.0, *[0.01] * 10)]
    left = {}
    for optimizer in ("adam", "yogi"):
        _, state = rounds(OuterSpec(optimizer=optimizer, second_momentum=0.9), changes, name=optimizer)[-1]
        left[optimizer] = load_file(state)[f"second.{NAMES[0]}"].min()
    assert left["yogi"] > 2 * left["adam"]


def test_nesterov_at_rate_one_without_momentum_is_the_aggregate_itself(rounds, tensors, read, tmp_path):
    [(adapter, _)] = rounds(OuterSpec(optimizer="nesterov", learning_rate=1.0, momentum=0.0), [tensors(1)])
    for name, expected in read(tmp_path / "run-0" / "combined.safetensors").items():
        np.testing.assert_array_equal(read(adapter)[name], expected)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_default_learning_rate_is_the_optimizers_own(name, rounds, tensors):
    own = OPTIMIZERS[name].learning_rate
    [(by_default, _)] = rounds(OuterSpec(optimizer=name), [tensors(1)], name="default")
    [(named, _)] = rounds(OuterSpec(optimizer=name, learning_rate=own), [tensors(1)], name="named")
    [(other, _)] = rounds(OuterSpec(optimizer=name, learning_rate=own / 2), [tensors(1)], name="other")
    assert by_default.read_bytes() == named.read_bytes() != other.read_bytes()
    assert OuterSpec.model_fields["learning_rate"].description.count(str(own))
