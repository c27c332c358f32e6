"""The folder of an export: written completely or not at all, with file modes by the user's umask."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atlas.errors import TrainingError


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder to write to, which is renamed to `folder` at the end, or removed after an error.

    Raises `TrainingError` when `folder` is a file or is not empty.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise TrainingError(f"The export needs a folder, but {folder} is a file. Give another one.")
    if folder.is_dir() and any(folder.iterdir()):
        raise TrainingError(f"The export folder {folder} exists already and is not empty. Give another one.")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        _give_ordinary_modes(partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _give_ordinary_modes(folder: Path) -> None:
    """Set the umask's file modes; libraries write some files through temporary ones with mode 600."""
    probe = folder / ".mode"
    probe.touch()
    mode = probe.stat().st_mode & 0o777
    probe.unlink()
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(mode)
