import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from atlas.aggregation.mean import weighted_mean
from atlas.errors import AggregationError


def write(folder, seed, scale=1.0):
    rng = np.random.default_rng(seed)
    path = folder / f"{seed}.safetensors"
    tensors = {"b": rng.normal(0, scale, (3, 5)), "a": rng.normal(0, scale, (7,))}
    save_file({name: value.astype(np.float32) for name, value in tensors.items()}, path)
    return path


@settings(max_examples=25, deadline=None)
@given(weights=st.lists(st.integers(1, 10**6), min_size=1, max_size=6))
def test_equals_a_dense_reference(tmp_path_factory, weights):
    folder = tmp_path_factory.mktemp("mean")
    paths = [write(folder, seed) for seed in range(len(weights))]
    out = folder / "out.safetensors"
    weighted_mean(list(zip(paths, weights, strict=True)), out)
    found = load_file(out)
    inputs = [load_file(path) for path in paths]
    for name in ("a", "b"):
        dense = np.average([part[name].astype(np.float64) for part in inputs], axis=0, weights=weights)
        np.testing.assert_allclose(found[name], dense, rtol=1e-6, atol=1e-7)
        assert found[name].dtype == np.float32


def test_equal_updates_give_themselves_byte_for_byte(tmp_path):
    path = write(tmp_path, 1)
    weighted_mean([(path, 3), (path, 5)], tmp_path / "out")
    for name, tensor in load_file(path).items():
        np.testing.assert_array_equal(load_file(tmp_path / "out")[name], tensor)


def test_bytes_are_reproducible(tmp_path):
    updates = [(write(tmp_path, seed), seed + 1) for seed in range(4)]
    digests = set()
    for attempt in range(3):
        out = tmp_path / f"out{attempt}"
        weighted_mean(updates, out)
        digests.add(hashlib.sha256(out.read_bytes()).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize("updates", [[], [("x", 0)]])
def test_nothing_to_average_is_an_error(tmp_path, updates):
    with pytest.raises(AggregationError):
        weighted_mean([(write(tmp_path, 1), weight) for _, weight in updates], tmp_path / "out")
    assert not (tmp_path / "out").exists()
