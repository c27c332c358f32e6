"""Files that only their owner may read."""

from pathlib import Path

from atlas.disk.files import write_file


def create_private_file(path: Path, data: bytes) -> None:
    """Write a new file (mode 600, new folders 700); if processes race, the first file is kept. Raises `DiskError`."""
    write_file(path, data, keep_first=True, mode=0o600, folder_mode=0o700)


def replace_private_file(path: Path, data: bytes) -> None:
    """Write or replace a file (mode 600, new folders 700). Raises `DiskError`."""
    write_file(path, data, mode=0o600, folder_mode=0o700)
