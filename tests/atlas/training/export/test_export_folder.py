import os

import pytest

from atlas.errors import TrainingError
from atlas.training.export.folder import new_folder


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_files_have_the_modes_that_the_umask_gives(tmp_path, umask):
    before = os.umask(umask)
    try:
        with new_folder(tmp_path / "a" / "export") as folder:
            (folder / "weights").write_bytes(b"x")
            (folder / "weights").chmod(0o600)
    finally:
        os.umask(before)
    found = tmp_path / "a" / "export"
    assert (found / "weights").stat().st_mode & 0o777 == 0o666 & ~umask
    assert found.stat().st_mode & 0o777 == 0o777 & ~umask
    assert [path.name for path in found.iterdir()] == ["weights"]


def test_an_empty_folder_is_taken_and_a_full_one_is_not(tmp_path):
    with new_folder(tmp_path) as folder:
        (folder / "one").touch()
    with pytest.raises(TrainingError, match="exists already and is not empty"), new_folder(tmp_path):
        pass
    with pytest.raises(TrainingError, match="one is a file"), new_folder(tmp_path / "one"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_nothing_is_left_of_an_export_that_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "export") as folder:
        (folder / "half").touch()
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
