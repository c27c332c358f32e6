"""Codecs on single tensors, against other ways to compute the same."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from atlas.aggregation.compression.codec import PartReader
from atlas.aggregation.compression.registry import CODECS
from atlas.aggregation.compression.settings import CompressionSpec
from atlas.aggregation.compression.top_k import kept, largest, pack, unpack
from atlas.errors import AggregationError


def numbers(most: float) -> st.SearchStrategy:
    few = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, -3.0])
    return arrays(
        np.float32,
        array_shapes(max_dims=1, max_side=600),
        elements=st.one_of(few, st.floats(-most, most, width=32)),
        fill=few,
    )


def sent(codec, change, spec):
    parts = CODECS[codec].encode(change, spec)
    limits = CODECS[codec].most(change.size, spec)
    assert parts.keys() == CODECS[codec].parts.keys() == limits.keys()
    assert all(len(parts[part]) <= limits[part] for part in parts)
    reader = PartReader(parts)
    decoded = CODECS[codec].decode(reader, change.size, spec)
    assert reader.left() == {}
    assert decoded.dtype == np.float32
    assert decoded.shape == change.shape
    return decoded


specs = {
    codec: st.builds(
        CompressionSpec, codec=st.just(codec), block_size=st.integers(1, 700), density=st.floats(0.001, 1.0)
    )
    for codec in CODECS
}


@settings(deadline=None)
@given(change=numbers(65504.0))
def test_fp16_rounds_like_the_struct_module(change):
    expected = [struct.unpack("<e", struct.pack("<e", number))[0] for number in change.tolist()]
    decoded = sent("fp16", change, CompressionSpec(codec="fp16"))
    assert decoded.tolist() == expected
    assert (np.abs(decoded - change) <= np.maximum(np.abs(change) * 2.0**-11, 2.0**-25)).all()


@settings(deadline=None)
@given(change=numbers(2.0**126))
def test_bf16_rounds_like_torch(change):
    torch = pytest.importorskip("torch")
    decoded = sent("bf16", change, CompressionSpec(codec="bf16"))
    assert decoded.tolist() == torch.from_numpy(change).to(torch.bfloat16).float().tolist()
    assert (np.abs(decoded - change) <= np.maximum(np.abs(change) * 2.0**-8, 2.0**-134)).all()


@pytest.mark.parametrize(("codec", "peak"), [("fp16", 65520.0), ("bf16", 3.4e38)])
def test_what_exceeds_a_half_is_refused(codec, peak):
    with pytest.raises(AggregationError, match=codec):
        CODECS[codec].encode(np.array([1.0, peak], np.float32), CompressionSpec(codec=codec))


@settings(deadline=None)
@given(change=numbers(2.0**100), spec=specs["int8"])
def test_int8_is_within_half_a_step_of_each_block(change, spec):
    decoded = sent("int8", change, spec)
    for start in range(0, change.size, spec.block_size):
        block, found = change[start : start + spec.block_size], decoded[start : start + spec.block_size]
        peak = max(abs(number) for number in block.tolist())
        bound = max(peak / 127 / 2 * 1.0001, 2.0**-142)
        assert all(abs(a - b) <= bound for a, b in zip(block.tolist(), found.tolist(), strict=True))


@settings(deadline=None)
@given(change=numbers(2.0**100), spec=specs["top-k"])
def test_top_k_sends_the_largest_and_among_equals_the_first(change, spec):
    count = kept(change.size, spec.density)
    assert count == max(1, math.ceil(spec.density * change.size)) <= change.size
    order = sorted(range(change.size), key=lambda index: (-abs(change[index]), index))
    chosen = sorted(order[:count])
    assert largest(change, count).tolist() == chosen
    decoded = sent("top-k", change, spec)
    assert set(np.flatnonzero(decoded).tolist()) <= set(chosen)
    bound = max(float(np.abs(change).max()) / 127 / 2 * 1.0001, 2.0**-142)
    assert (np.abs(decoded.astype(np.float64) - change)[chosen] <= bound).all()


@pytest.mark.parametrize("codec", CODECS)
@settings(deadline=None)
@given(data=st.data())
def test_encoding_a_decoded_change_changes_nothing(codec, data):
    spec = data.draw(specs[codec])
    size, scale = data.draw(st.integers(1, 600)), data.draw(st.sampled_from([1e-9, 3e-4, 1.0, 70.0]))
    elements = st.integers(-800, 800).map(lambda number: number * scale)
    change = data.draw(arrays(np.float64, size, elements=elements)).astype(np.float32)
    once = sent(codec, change, spec)
    assert sent(codec, once, spec).tobytes() == once.tobytes()


@pytest.mark.parametrize("codec", CODECS)
def test_no_change_stays_none(codec):
    assert not sent(codec, np.zeros(1000, np.float32), CompressionSpec(codec=codec)).any()


@settings(deadline=None)
@given(st.sets(st.integers(0, 5000), min_size=1))
def test_indices_survive_packing(indices):
    rising = np.array(sorted(indices))
    packed = pack(rising)
    assert unpack(packed).tolist() == rising.tolist()
    assert packed.size <= rising.size + rising[-1] // 255


@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_unpacked_indices_rise_whatever_the_bytes(data):
    indices = unpack(np.frombuffer(data, np.uint8))
    assert (np.diff(indices) > 0).all()
    assert (indices >= 0).all()
