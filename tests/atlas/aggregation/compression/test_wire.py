"""Updates as files: what a node writes is what the coordinator reads."""

import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from atlas.aggregation.compression.registry import CODECS
from atlas.aggregation.compression.settings import CompressionSpec
from atlas.aggregation.compression.wire import decode_update, encode_update
from atlas.aggregation.files.adapter_files import AdapterFile, write_adapter
from atlas.errors import AggregationError

every_codec = pytest.mark.parametrize("codec", CODECS)


def _cut(start, like):
    return start[tuple(slice(length) for length in like.shape)]


@every_codec
@pytest.mark.parametrize("frozen", [None, "A", "B"])
@pytest.mark.parametrize("rank", [4, 2])
def test_both_sides_read_the_same_update(codec, frozen, rank, base, read, write_update, tmp_path):
    spec = CompressionSpec(codec=codec, density=0.3, block_size=50)
    update = write_update(tmp_path / "update", frozen=frozen, rank=rank)
    encoded = encode_update(update, base, spec, None, tmp_path)
    decode_update(encoded.file, base, spec, tmp_path / "there")
    assert (tmp_path / "there").read_bytes() == encoded.decoded.read_bytes()
    assert encoded.decoded.read_bytes() == save(dict(sorted(load_file(encoded.decoded).items())), {"format": "pt"})
    assert encoded.file.stat().st_size < 0.7 * update.stat().st_size
    trained, start, found = read(update), read(base), read(encoded.decoded)
    assert found.keys() == trained.keys()
    for name, tensor in trained.items():
        change = (tensor - _cut(start[name], tensor)).ravel()
        assert found[name].shape == tensor.shape
        if codec == "top-k":
            count = CODECS[codec].encode(change, spec)["values"].size
            assert 0 < np.count_nonzero(found[name] != _cut(start[name], tensor)) <= count
        else:
            assert np.abs(found[name] - tensor).max() <= np.abs(change).max() / 100


@every_codec
def test_an_update_that_changed_nothing_stays_the_base(codec, base, tmp_path):
    encoded = encode_update(base, base, CompressionSpec(codec=codec), None, tmp_path)
    assert encoded.decoded.read_bytes() == base.read_bytes()


@pytest.mark.parametrize("codec", ["fp16", "bf16"])
def test_halves_keep_an_update_that_has_travelled_before(codec, base, write_update, tmp_path):
    spec = CompressionSpec(codec=codec)
    once = encode_update(write_update(tmp_path / "update"), base, spec, None, tmp_path).decoded.read_bytes()
    (tmp_path / "again").write_bytes(once)
    assert encode_update(tmp_path / "again", base, spec, None, tmp_path).decoded.read_bytes() == once


def test_only_top_k_keeps_a_residual(base, write_update, tmp_path):
    update = write_update(tmp_path / "update")
    kept = {
        codec: encode_update(update, base, CompressionSpec(codec=codec), None, tmp_path).residual is not None
        for codec in CODECS
    }
    assert kept == {"fp16": False, "bf16": False, "int8": False, "top-k": True}


@every_codec
def test_every_process_writes_the_same_bytes(codec, base, write_update, tmp_path):
    write_update(tmp_path / "update")
    program = (
        "import sys; from pathlib import Path\n"
        "from atlas.aggregation.compression.settings import CompressionSpec\n"
        "from atlas.aggregation.compression.wire import encode_update\n"
        "base, update, folder = map(Path, sys.argv[1:4]); folder.mkdir()\n"
        "encode_update(update, base, CompressionSpec(codec=sys.argv[4]), None, folder)\n"
        "assert 'torch' not in sys.modules\n"
    )
    found = set()
    for seed in ("1", "2"):
        folder = tmp_path / f"process-{seed}"
        environment = {**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": seed}
        arguments = [sys.executable, "-c", program, base, tmp_path / "update", folder, codec]
        subprocess.run(arguments, check=True, env=environment)
        found.add(b"".join(path.read_bytes() for path in sorted(folder.iterdir())))
    assert len(found) == 1


def _changed(tensors, **changes):
    return {name: value for name, value in {**tensors, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model.head.bias": None}, r"head\.bias.*expected F32 \[2\], found none"),
        ({"model.head.bias": None, "model.q.lora_A.weight": None}, r"head\.bias"),
        ({"model.q.lora_A.weight": None}, r"q\.lora_A.*found none"),
        ({"model.z.lora_A.weight": np.zeros((4, 2))}, r"z\.lora_A.*expected none"),
        ({"model.head.weight": np.zeros((2, 29))}, r"head\.weight.*\[2, 30\].*\[2, 29\]"),
        ({"model.q.lora_A.weight": np.zeros((2, 30))}, "rank|lora"),
        ({"model.q.lora_A.weight": np.zeros((5, 30))}, "has rank 5; its base has rank 4"),
        ({"model.q.lora_A.weight": np.full((4, 30), np.nan)}, r"q\.lora_A.*NaN"),
        ({"model.head.bias": np.array([np.inf, 0])}, r"head\.bias.*NaN or more"),
    ],
)
def test_an_update_that_does_not_fit_is_refused(change, message, base, read, tmp_path):
    tensors = {name: value.astype(np.float32) for name, value in _changed(read(base), **change).items()}
    write_adapter(tmp_path / "update", tensors)
    with pytest.raises(AggregationError, match=message):
        encode_update(tmp_path / "update", base, CompressionSpec(codec="int8"), None, tmp_path)
    assert not (tmp_path / "decoded.safetensors").exists()


def test_a_change_that_fp16_cannot_hold_names_its_tensor(base, write_update, tmp_path):
    update = write_update(tmp_path / "update", size=1e6)
    with pytest.raises(AggregationError, match=r"head\.bias.*65504.*choose bf16"):
        encode_update(update, base, CompressionSpec(codec="fp16"), None, tmp_path)


def test_without_a_codec_there_is_nothing_to_encode(base, tmp_path):
    with pytest.raises(AggregationError, match="fp16, bf16, int8, top-k"):
        encode_update(base, base, CompressionSpec(), None, tmp_path)
    with pytest.raises(AggregationError, match="fp16, bf16, int8, top-k"):
        decode_update(base, base, CompressionSpec(), tmp_path / "out")


def test_small_parts_have_a_small_header(base, write_update, tmp_path):
    encoded = encode_update(write_update(tmp_path / "update"), base, CompressionSpec(codec="top-k"), None, tmp_path)
    file = AdapterFile(encoded.file)
    assert file.data_start < 300
    assert list(file.tensors) == ["gaps", "scales", "values"]
