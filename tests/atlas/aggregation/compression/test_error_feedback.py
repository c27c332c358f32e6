"""Top-k sends everything in the end: what was not sent waits on the node."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.aggregation.compression.settings import CompressionSpec
from atlas.aggregation.compression.wire import encode_update
from atlas.aggregation.files.adapter_files import write_adapter
from atlas.errors import AggregationError


def _run(base, read, write_update, folder, spec, frozen, rank=4):
    """Rounds from one base; returns the sums of true and of sent changes by tensor, and the last residual."""
    start, true, sent, residual = read(base), {}, {}, None
    for number, factor in enumerate(frozen):
        here = folder / str(number)
        here.mkdir()
        update = write_update(here / "update", seed=number, frozen=factor, rank=rank)
        encoded = encode_update(update, base, spec, residual, here)
        residual = encoded.residual
        for total, path in ((true, update), (sent, encoded.decoded)):
            for name, tensor in read(path).items():
                part = start[name][tuple(slice(length) for length in tensor.shape)]
                total[name] = total.get(name, 0) + tensor.astype(np.float64) - part
    return true, sent, read(residual)


@settings(max_examples=10, deadline=None)
@given(
    density=st.floats(0.005, 1.0),
    frozen=st.lists(st.sampled_from([None, "A", "B"]), min_size=1, max_size=6),
    rank=st.integers(1, 4),
)
def test_sent_and_left_over_are_the_whole_change(density, frozen, rank, base, read, write_update, tmp_path_factory):
    spec = CompressionSpec(codec="top-k", density=density)
    true, sent, residual = _run(base, read, write_update, tmp_path_factory.mktemp("run"), spec, frozen, rank)
    assert true.keys() == sent.keys() == residual.keys()
    for name, total in true.items():
        np.testing.assert_allclose(sent[name] + residual[name], total, atol=1e-8 * len(frozen))


def test_a_steady_change_arrives_in_the_end(base, read, tmp_path):
    rng = np.random.default_rng(3)
    update = {name: value + rng.normal(0, 1e-3, value.shape).astype(np.float32) for name, value in read(base).items()}
    write_adapter(tmp_path / "update", update)
    spec, residual, sent, rounds = CompressionSpec(codec="top-k", density=0.05), None, 0, 200
    for _ in range(rounds):
        encoded = encode_update(tmp_path / "update", base, spec, residual, tmp_path)
        residual = (tmp_path / "residual.safetensors").replace(tmp_path / "kept")
        sent = sent + (read(encoded.decoded)["model.v.lora_A.weight"] - read(base)["model.v.lora_A.weight"])
    change = update["model.v.lora_A.weight"] - read(base)["model.v.lora_A.weight"]
    without = encode_update(tmp_path / "update", base, spec, None, tmp_path).decoded
    lost = rounds * (read(without)["model.v.lora_A.weight"] - read(base)["model.v.lora_A.weight"])
    assert np.linalg.norm(sent - rounds * change) < 0.2 * np.linalg.norm(rounds * change)
    assert np.linalg.norm(lost - rounds * change) > 0.7 * np.linalg.norm(rounds * change)


def test_a_frozen_factors_residual_waits(base, read, write_update, tmp_path):
    spec, folders = CompressionSpec(codec="top-k"), [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    first = encode_update(write_update(tmp_path / "1"), base, spec, None, folders[0]).residual
    second = encode_update(write_update(tmp_path / "2", frozen="A"), base, spec, first, folders[1]).residual
    before, after = read(first), read(second)
    assert before.keys() == after.keys()
    for name in before:
        assert (before[name].tobytes() == after[name].tobytes()) == (".lora_A." in name)
        assert before[name].any()


@pytest.mark.parametrize("rank", [2, 4])
def test_a_residual_of_another_rank_is_refused(rank, base, write_update, tmp_path):
    spec = CompressionSpec(codec="top-k")
    residual = encode_update(write_update(tmp_path / "1", rank=6 - rank), base, spec, None, tmp_path).residual
    residual = residual.replace(tmp_path / "kept")
    with pytest.raises(AggregationError, match=r"residual's .*lora_A.*another rank"):
        encode_update(write_update(tmp_path / "2", rank=rank), base, spec, residual, tmp_path)


def test_the_residual_decides_the_bytes(base, write_update, tmp_path):
    spec, update = CompressionSpec(codec="top-k"), write_update(tmp_path / "update")
    residual = encode_update(write_update(tmp_path / "1", seed=9), base, spec, None, tmp_path).residual
    residual = residual.replace(tmp_path / "kept")
    plain = encode_update(update, base, spec, None, tmp_path).decoded.read_bytes()
    fed = [encode_update(update, base, spec, residual, tmp_path).decoded.read_bytes() for _ in range(2)]
    assert fed[0] == fed[1] != plain
