import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from atlas.aggregation.files.adapter_files import AdapterFile, new_adapter, write_adapter
from atlas.errors import AggregationError

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(lambda n: n != "__metadata__")
FLOATS = arrays.arrays(np.float32, arrays.array_shapes(max_dims=3, max_side=4), elements=st.floats(width=32))
TENSORS = st.dictionaries(NAMES, FLOATS, min_size=1, max_size=5)


def entry(start, stop, shape=(2,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}


def write_raw(folder: Path, header, data=b"", length=None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = folder / "raw.safetensors"
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


@settings(max_examples=60, deadline=None)
@given(tensors=TENSORS)
def test_what_is_written_are_the_bytes_that_safetensors_writes(tmp_path_factory, tensors):
    folder = tmp_path_factory.mktemp("write")
    write_adapter(folder / "ours", tensors)
    save_file({name: tensors[name] for name in sorted(tensors)}, folder / "theirs", metadata={"format": "pt"})
    assert (folder / "ours").read_bytes() == (folder / "theirs").read_bytes()
    file = AdapterFile(folder / "ours")
    assert list(file.tensors) == sorted(tensors)
    assert file.size == sum(tensor.size for tensor in tensors.values())
    for name, tensor in tensors.items():
        assert file.read(name).tobytes() == tensor.tobytes()
        assert file.tensors[name].shape == tensor.shape


@settings(max_examples=60, deadline=None)
@given(data=st.data(), order=st.permutations(["a", "b", "c", "d"]))
def test_columns_are_the_tensors_in_the_order_of_their_names(tmp_path_factory, data, order):
    folder = tmp_path_factory.mktemp("columns")
    tensors = {
        name: np.arange(10 * place, 10 * place + place, dtype=np.float32) for place, name in enumerate("abcd", 1)
    }
    header, start = {}, 0
    for name in order:  # the order in the file is the writer's choice
        header[name] = entry(start, start + tensors[name].nbytes, tensors[name].shape)
        start += tensors[name].nbytes
    file = AdapterFile(write_raw(folder, header, b"".join(tensors[name].tobytes() for name in order)))
    chosen = data.draw(st.sets(st.sampled_from("abcd"), min_size=1))
    columns, row = file.columns(chosen), np.concatenate([tensors[name] for name in sorted(chosen)])
    assert columns.size == len(row)
    first = data.draw(st.integers(0, len(row) - 1))
    out = np.empty(data.draw(st.integers(0, len(row) - first)), np.float32)
    columns.read(first, out)
    np.testing.assert_array_equal(out, row[first : first + len(out)])
    assert columns.name_at(first) in chosen
    assert row[first] in tensors[columns.name_at(first)]
    columns.write(first, -out)
    row[first : first + len(out)] *= -1
    columns.read(0, whole := np.empty(len(row), np.float32))
    np.testing.assert_array_equal(whole, row)
    for name in set("abcd") - chosen:
        np.testing.assert_array_equal(file.read(name), tensors[name])


@pytest.mark.parametrize(
    ("header", "data", "words"),
    [
        ({"a": entry(-8, 0)}, b"", "non-negative"),
        ({"a": entry(8, 0)}, bytes(8), "does not take -8 bytes"),
        ({"a": entry(0, 8), "b": entry(4, 12)}, bytes(12), "b starts at byte 4 of the data, expected 8"),
        ({"a": entry(0, 8), "b": entry(0, 8)}, bytes(8), "b starts at byte 0"),
        ({"a": entry(0, 8), "b": entry(12, 20)}, bytes(20), "expected 8"),
        ({"a": entry(0, 8)}, bytes(4), "take 8 bytes, but 4 follow"),
        ({"a": entry(0, 8)}, bytes(9), "take 8 bytes, but 9 follow"),
        ({"a": entry(0, 8, (3,))}, bytes(8), "does not take 8 bytes"),
        ({"a": entry(0, 2**70)}, bytes(8), "non-negative"),
        ({"a": entry(0, 8, (2**62, 2**62, 2**62))}, bytes(8), "does not take"),
        ({"a": entry(0, 8, [2] * 9)}, bytes(8), "at most 8 dimensions"),
        ({"a": entry(0, 0, (0, 2**62))}, b"", "of length 1 or more"),
        ({"a": entry(0, 8, (-1, -2))}, bytes(8), "dimensions"),
        ({"a": entry(0, 8, (2.0,))}, bytes(8), "dimensions"),
        ({"a": entry(0, 4, (True,))}, bytes(4), "dimensions"),
        ({"a": entry(0, 8, dtype="F33")}, bytes(8), "unknown dtype 'F33'"),
        ({"a": entry(0, 8, dtype=["F32"])}, bytes(8), "unknown dtype"),
        ({"a": entry(0, 8) | {"more": 1}}, bytes(8), "exactly dtype, shape and data_offsets"),
        ({"a": None}, b"", "exactly dtype"),
        ({"a": entry(0, 8) | {"data_offsets": [0, 4, 8]}}, bytes(8), "two non-negative"),
        ([], b"", "must be an object"),
        (b'{"a":1,"a":2}', b"", "'a' is listed twice"),
        (b'{"a":{"dtype":"F32","dtype":"F32"}}', b"", "listed twice"),
        (b'{"a":NaN}', b"", "NaN is no JSON"),
        (b'{"\\ud800":1}', b"", "not valid JSON"),
        (b"\xff{}", b"", "not valid JSON"),
        (b"[" * 100_000, b"", "not valid JSON"),
        (b'{"a":' + b"9" * 10_000 + b"}", b"", "not valid JSON"),
        (b"", b"", "not valid JSON"),
    ],
)
def test_a_malformed_header_is_refused(tmp_path, header, data, words):
    with pytest.raises(AggregationError, match="is not a readable safetensors file") as caught:
        AdapterFile(write_raw(tmp_path, header, data))
    assert words in str(caught.value)


@pytest.mark.parametrize("length", [3, 2**20, 2**40, 2**64 - 1])
def test_a_header_that_is_longer_than_it_may_be_is_refused(tmp_path, length):
    with pytest.raises(AggregationError, match="readable"):
        AdapterFile(write_raw(tmp_path, {"a": entry(0, 8)}, bytes(8), length))


def test_a_huge_header_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "sparse.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 2**33))
        file.truncate(2**34)
    with pytest.raises(AggregationError, match="announce a header of 8589934592 bytes"):
        AdapterFile(path)


@pytest.mark.parametrize("size", [0, 3, 8, 100, -1])
def test_a_file_that_was_cut_short_is_refused(tmp_path, size):
    path = tmp_path / "adapter.safetensors"
    write_adapter(path, {"a": np.ones((50, 3), np.float32)})
    os.truncate(path, size % path.stat().st_size)
    with pytest.raises(AggregationError, match="readable"):
        AdapterFile(path)
    with pytest.raises(AggregationError, match="absent is not a readable"):
        AdapterFile(tmp_path / "absent")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 400), byte=st.binary(min_size=0, max_size=3), removed=st.integers(0, 3))
@example(0, b"", 0)
def test_no_file_passes_that_safetensors_refuses(tmp_path, place, byte, removed):
    path = tmp_path / "fuzzed.safetensors"
    write_adapter(path, {"a": np.ones((2, 3), np.float32), "b": np.ones(4, np.float32)})
    whole = path.read_bytes()
    place %= len(whole)
    path.write_bytes(whole[:place] + byte + whole[place + removed :])
    try:
        ours = {name: tensor.shape for name, tensor in AdapterFile(path).tensors.items()}
    except AggregationError:
        return
    try:
        with safe_open(path, framework="numpy") as theirs:
            assert ours == {name: tuple(theirs.get_slice(name).get_shape()) for name in theirs.keys()}  # noqa: SIM118
    except SafetensorError as error:
        pytest.fail(f"accepted a file that safetensors refuses: {error}")


def test_other_dtypes_are_listed_but_not_read(tmp_path):
    path = tmp_path / "adapter.safetensors"
    save_file({"a": np.ones(3, np.float16), "b": np.ones(3, np.float32)}, path)
    file = AdapterFile(path)
    assert {name: tensor.dtype for name, tensor in file.tensors.items()} == {"a": "F16", "b": "F32"}
    assert file.read("b").tolist() == [1, 1, 1]
    for call in (lambda: file.read("a"), file.columns, lambda: file.columns(["c"])):
        with pytest.raises(AggregationError, match=r"expected [ac] in F32, found (F16|no such tensor)"):
            call()


def test_a_file_that_shrinks_while_it_is_read_is_an_error(tmp_path):
    path = tmp_path / "adapter.safetensors"
    write_adapter(path, {"a": np.ones(50, np.float32)})
    file = AdapterFile(path)
    os.truncate(path, path.stat().st_size - 4)
    with pytest.raises(AggregationError, match="became shorter"):
        file.read("a")


def test_no_descriptor_stays_open(tmp_path):
    path = tmp_path / "adapter.safetensors"
    write_adapter(path, {"a": np.ones(50, np.float32)})
    before = len(list(Path("/dev/fd").iterdir()))
    files = [AdapterFile(path) for _ in range(50)]
    assert [file.read("a").sum() for file in files] == [50] * 50
    assert len(list(Path("/dev/fd").iterdir())) <= before


def test_a_new_adapter_gets_its_name_only_when_it_is_whole(tmp_path):
    path = tmp_path / "adapter.safetensors"
    with pytest.raises(RuntimeError), new_adapter(path, {"a": (2, 2)}):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with new_adapter(path, {"b": (3,), "a": (2, 2)}) as file:
        assert not path.exists()
        file.columns(["a"]).write(1, np.array([5, 6], np.float32))
    found = load_file(path)
    assert found["a"].tolist() == [[0, 5], [6, 0]]
    assert found["b"].tolist() == [0, 0, 0]


def test_where_a_number_is_not_finite(tmp_path):
    path = tmp_path / "adapter.safetensors"
    values = np.zeros(200_000, np.float32)
    values[150_000] = np.inf
    write_adapter(path, {"a": np.zeros(7, np.float32), "b": values})
    columns = AdapterFile(path).columns()
    assert columns.first_not_finite(0, columns.size) == 150_007
    assert columns.first_not_finite(0, 150_007) is None
    assert columns.name_at(150_007) == "b"
    with pytest.raises(IndexError):
        columns.name_at(columns.size)
