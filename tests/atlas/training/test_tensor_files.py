import errno
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.numpy import save_file as save_numpy
from transformers import AutoModel

from atlas.errors import TrainingError
from atlas.training.tensor_files import read_tensors, save_folder, write_tensors


def test_the_order_and_layout_of_tensors_leave_no_trace(tmp_path: Path) -> None:
    matrix = torch.arange(6.0).reshape(2, 3)
    write_tensors(tmp_path / "a", {"x": matrix, "y": torch.ones(2), "b.z": torch.zeros(1)})
    write_tensors(tmp_path / "b", {"b.z": torch.zeros(1), "y": torch.ones(4)[::2], "x": matrix.t().contiguous().t()})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    np.testing.assert_array_equal(load_file(tmp_path / "a")["x"], [[0, 1, 2], [3, 4, 5]])


def test_a_file_by_numpy_reads_back(tmp_path: Path) -> None:
    save_numpy({"x": np.float32([1, 2])}, tmp_path / "a")
    tensors, metadata = read_tensors(tmp_path / "a", "adapter")
    assert torch.equal(tensors["x"], torch.tensor([1.0, 2.0]))
    assert metadata == {}


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write_tensors(tmp_path / "a", {"x": torch.ones(2)})
    before = (tmp_path / "a").read_bytes()
    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(TrainingError, match=r"Cannot write .*a: No space left on device\. Free some space"):
        write_tensors(tmp_path / "a", {"x": torch.zeros(2)})
    assert (tmp_path / "a").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_missing_file_is_named_with_its_role(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"The adapter .*nowhere"):
        read_tensors(tmp_path / "nowhere", "adapter")


def test_a_model_that_no_longer_fits_on_the_disk_is_named_with_the_remedy(tiny_model, tmp_path):
    model = AutoModel.from_pretrained(tiny_model)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(TrainingError, match=f"Cannot write {tmp_path / 'model'}: .*Free some space"):
            save_folder(model, tmp_path / "model")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
