import numpy as np
import pytest
from safetensors.numpy import save_file

from atlas.aggregation.gates import check_adapter, reference_schema, schema_of
from atlas.errors import AggregationError

A, B = "model.query.lora_A.weight", "model.query.lora_B.weight"


@pytest.fixture
def write(tmp_path):
    def write(name="adapter", **changes):
        tensors = {A: np.ones((4, 8), np.float32), B: np.zeros((6, 4), np.float32)}
        tensors |= {{"A": A, "B": B}.get(key, key): value for key, value in changes.items()}
        path = tmp_path / f"{name}.safetensors"
        save_file({key: value for key, value in tensors.items() if value is not None}, path)
        return path

    return write


def test_an_honest_adapter_passes(write):
    adapter = write()
    assert check_adapter(adapter, schema_of(adapter), rank=4) is None


@pytest.mark.parametrize(
    ("change", "gate", "words"),
    [
        ({"B": None}, "schema", "lacks 1 tensors, first model.query.lora_B.weight"),
        ({"extra": np.ones(1, np.float32)}, "schema", "unexpected tensors, first extra"),
        ({"B": np.zeros((6, 5), np.float32)}, "schema", "F32[6, 5], expected F32[6, 4]"),
        ({"A": np.ones((4, 8), np.float16)}, "schema", "F16"),
        ({"A": np.full((4, 8), np.nan, np.float32)}, "finite", "lora_A.weight holds NaN"),
        ({"B": np.full((6, 4), np.inf, np.float32)}, "finite", "lora_B.weight holds NaN or infinity"),
    ],
)
def test_a_bad_adapter_is_refused_by_name(write, change, gate, words):
    reference = schema_of(write("reference"))
    refusal = check_adapter(write("bad", **change), reference, rank=4)
    assert refusal is not None
    assert refusal.gate == gate
    assert words in refusal.reason


def test_rank_must_be_the_jobs(write):
    adapter = write()
    refusal = check_adapter(adapter, schema_of(adapter), rank=8)
    assert refusal is not None
    assert "has rank 4, the job says 8" in refusal.reason


def test_a_file_that_is_no_safetensors_is_refused(write, tmp_path):
    junk = tmp_path / "junk.safetensors"
    junk.write_bytes(b"not tensors at all")
    refusal = check_adapter(junk, schema_of(write()), rank=4)
    assert refusal is not None
    assert refusal.gate == "readable"


def test_reference_is_the_base_else_the_commonest(write, tmp_path):
    odd = write("odd", B=np.zeros((6, 5), np.float32))
    first, second = write("first"), write("second")
    assert reference_schema([odd, first, second], None) == schema_of(first)
    assert reference_schema([first, second], odd) == schema_of(odd)
    junk = tmp_path / "junk"
    junk.write_bytes(b"")
    with pytest.raises(AggregationError, match="train the round again"):
        reference_schema([junk], None)
