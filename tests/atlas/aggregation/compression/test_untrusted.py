"""Whatever a node sends: either an update that fits its base comes out, or an `AggregationError` and no file."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from atlas.aggregation.compression.registry import CODECS
from atlas.aggregation.compression.settings import CompressionSpec
from atlas.aggregation.compression.wire import decode_update, encode_update
from atlas.errors import AggregationError

every_codec = pytest.mark.parametrize("codec", CODECS)
fuzzed = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@pytest.fixture
def honest(base, write_update, tmp_path):
    """The bytes that an honest node sends."""
    update = write_update(tmp_path / "update")
    return lambda codec: encode_update(update, base, CompressionSpec(codec=codec), None, tmp_path).file.read_bytes()


@pytest.fixture
def decode(base, read, tmp_path):
    """Decode bytes; what comes out is checked against the base."""

    def run(data: bytes, codec: str) -> dict[str, np.ndarray] | None:
        sent, out = tmp_path / "sent", tmp_path / "out"
        sent.write_bytes(data)
        out.unlink(missing_ok=True)
        tracemalloc.start()
        try:
            decode_update(sent, base, CompressionSpec(codec=codec), out)
        except AggregationError:
            assert [path for path in tmp_path.iterdir() if path.name.startswith("out")] == []
            return None
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 2**20
        tensors = read(out)
        for name, tensor in tensors.items():
            assert np.isfinite(tensor).all()
            assert all(found <= most for found, most in zip(tensor.shape, read(base)[name].shape, strict=True))
        return tensors

    return run


@every_codec
@fuzzed
@given(data=st.data())
def test_altered_bytes_never_do_harm(codec, data, honest, decode):
    sent = bytearray(honest(codec))
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(sent)) | st.integers(0, min(300, len(sent))))
        cut = data.draw(st.integers(0, 20) | st.integers(0, len(sent)))
        sent[start : start + cut] = data.draw(st.binary(max_size=20) | st.binary(min_size=cut, max_size=cut))
    decode(bytes(sent), codec)


@fuzzed
@given(header=json_values, payload=st.binary(max_size=100))
@example(header=[[]] * 100, payload=b"")
def test_any_header_is_refused(header, payload, decode):
    text = json.dumps(header).encode()
    assert decode(len(text).to_bytes(8, "little") + text + payload, "int8") is None


@every_codec
@fuzzed
@given(data=st.data())
def test_altered_headers_never_do_harm(codec, data, honest, decode):
    sent = honest(codec)
    length = int.from_bytes(sent[:8], "little")
    header = json.loads(sent[8 : 8 + length])
    for _ in range(data.draw(st.integers(1, 3))):
        part = data.draw(st.sampled_from(sorted(header)))
        if data.draw(st.booleans()) and isinstance(header[part], dict) and header[part]:
            field = data.draw(st.sampled_from(sorted(header[part])))
            header[part][field] = data.draw(json_values | st.lists(st.integers(0, 2**62), min_size=1, max_size=2))
        else:
            header[data.draw(st.text(max_size=10) | st.sampled_from(sorted(header)))] = data.draw(
                json_values | st.just(header[part])
            )
    text = json.dumps(header).encode()
    decode(len(text).to_bytes(8, "little") + text + sent[8 + length :], codec)


@fuzzed
@given(
    values=st.binary(min_size=200, max_size=200),
    gaps=st.binary(max_size=260),
    scale=st.binary(min_size=24, max_size=24),
)
def test_any_parts_of_top_k_stay_within_their_tensor(values, gaps, scale, decode, base, read):
    count = sum(max(1, -(-tensor.size // 20)) for tensor in read(base).values())
    values = np.resize(np.frombuffer(values, np.int8), count)
    gaps = np.concatenate([np.frombuffer(gaps, np.uint8), np.zeros(max(0, count - len(gaps)), np.uint8)])
    parts = {"values": values, "gaps": gaps, "scales": np.frombuffer(scale, np.float32)}
    decode(save(parts, {"update": "codec=top-k rank=base frozen=none"}), "top-k")


def _top_k(base, read, update="codec=top-k rank=base frozen=none", **changed):
    sizes = [tensor.size for tensor in read(base).values()]
    counts = [max(1, -(-size // 20)) for size in sizes]
    parts = {
        "values": np.ones(sum(counts), np.int8),
        "gaps": np.zeros(sum(counts), np.uint8),
        "scales": np.ones(len(sizes), np.float32),
    }
    parts = {name: part for name, part in {**parts, **changed}.items() if part is not None}
    return save(parts, {"update": update} if update else None)


def test_the_parts_that_the_cases_below_alter_are_good(base, read, decode):
    assert decode(_top_k(base, read), "top-k").keys() == read(base).keys()
    assert (
        len(decode(_top_k(base, read, "codec=top-k rank=base frozen=A", **_shorter(base, read, ".lora_A.")), "top-k"))
        == 4
    )


def _shorter(base, read, without):
    counts = [max(1, -(-tensor.size // 20)) for name, tensor in read(base).items() if without not in name]
    return {
        "values": np.ones(sum(counts), np.int8),
        "gaps": np.zeros(sum(counts), np.uint8),
        "scales": np.ones(len(counts), np.float32),
    }


@pytest.mark.parametrize(
    ("altered", "message"),
    [
        ({"values": None}, "must hold the parts of top-k"),
        ({"extra": np.zeros(1, np.int8)}, "must hold the parts of top-k.*extra"),
        ({"values": np.ones(156, np.uint8)}, r"values' \(I8.*values' \(U8"),
        ({"values": np.ones((2, 78), np.int8)}, "2 axes"),
        ({"values": np.ones(3, np.int8)}, r"head\.weight.*expected 3 more numbers in the part 'values', found 2"),
        ({"values": np.ones(170, np.int8)}, r"numbers that no tensor takes.*values"),
        ({"gaps": np.full(156, 255, np.uint8)}, r"head\.bias.*expected 1 indices below 2, found 0"),
        ({"gaps": np.full(156, 2, np.uint8)}, r"head\.bias.*indices below 2, found 1 up to 2"),
        ({"scales": np.full(6, np.nan, np.float32)}, r"head\.bias.*'scales' holds NaN"),
        ({"scales": np.full(6, np.inf, np.float32)}, r"head\.bias.*'scales' holds NaN or inf"),
        ({"scales": np.full(6, 3.4e38, np.float32), "values": np.full(156, 127, np.int8)}, "exceeds float32"),
        ({"values": np.ones(10**6, np.int8)}, "bytes"),
        ({"update": None}, "must say what it is"),
        ({"update": "codec=int8 rank=base frozen=none"}, "must say codec=top-k, found 'codec=int8'"),
        ({"update": "codec=top-k rank=5 frozen=none"}, r"lora_A.*rank 5; its base has rank 4"),
        ({"update": "codec=top-k rank=0 frozen=none"}, "reads like"),
        ({"update": "codec=top-k rank=٣ frozen=none"}, "reads like"),
        ({"update": "codec=top-k rank=999999999999 frozen=none"}, "reads like"),
        ({"update": "codec=top-k rank=base frozen=head"}, "reads like"),
        ({"update": "codec=top-k rank=base frozen=none\n"}, "reads like"),
        ({"update": "codec=top-k rank=base frozen=A"}, "numbers that no tensor takes"),
        ({"update": "codec=top-k rank=2 frozen=none"}, "numbers that no tensor takes"),
    ],
)
def test_what_no_encoder_writes_is_refused(altered, message, base, read, tmp_path):
    (tmp_path / "sent").write_bytes(_top_k(base, read, **altered))
    with pytest.raises(AggregationError, match=message):
        decode_update(tmp_path / "sent", base, CompressionSpec(codec="top-k"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("codec", "bits", "dtype"), [("fp16", 0x7C00, np.float16), ("bf16", 0x7F80, np.uint16)])
def test_infinite_halves_are_refused(codec, bits, dtype, base, read, tmp_path):
    size = sum(tensor.size for tensor in read(base).values())
    values = np.zeros(size, np.uint16)
    values[-1] = bits
    (tmp_path / "sent").write_bytes(
        save({"values": values.view(dtype)}, {"update": f"codec={codec} rank=base frozen=none"})
    )
    with pytest.raises(AggregationError, match=r"v\.lora_B.*NaN or infinity"):
        decode_update(tmp_path / "sent", base, CompressionSpec(codec=codec), tmp_path / "out")


@every_codec
def test_the_update_of_another_codec_is_refused(codec, base, honest, decode):
    for other in CODECS.keys() - {codec}:
        assert decode(honest(other), codec) is None


def test_other_settings_of_the_codec_are_refused(base, write_update, tmp_path):
    update = write_update(tmp_path / "update")
    for codec, field, values in (("int8", "block_size", (64, 128)), ("top-k", "density", (0.05, 0.06))):
        specs = [CompressionSpec.model_validate({"codec": codec, field: value}) for value in values]
        for sent, expected in (specs, specs[::-1]):
            encoded = encode_update(update, base, sent, None, tmp_path)
            with pytest.raises(AggregationError):
                decode_update(encoded.file, base, expected, tmp_path / "out")


@pytest.mark.parametrize("data", [b"", b"\x01", b"\xff" * 8, (2**62).to_bytes(8, "little") + b"{}", b"\x00" * 100])
def test_what_is_no_safetensors_file_is_refused(data, decode):
    assert decode(data, "fp16") is None


@pytest.mark.parametrize("missing", ["nowhere", "."])
def test_a_file_that_is_not_there_is_refused(missing, base, tmp_path):
    with pytest.raises(AggregationError):
        decode_update(tmp_path / Path(missing), base, CompressionSpec(codec="fp16"), tmp_path / "out")


def test_a_large_file_is_refused_before_it_is_read(base, tmp_path):
    with (tmp_path / "sent").open("wb") as stream:
        stream.write((100).to_bytes(8, "little"))
        stream.truncate(2**40)
    with pytest.raises(AggregationError, match="1099511627776 bytes"):
        decode_update(tmp_path / "sent", base, CompressionSpec(codec="fp16"), tmp_path / "out")
