"""The `ipfs` program without a network, to compare with; folders that every test of folders uses."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.content.kubo_nodes import kubo_binary

Ipfs = Callable[..., bytes]


@pytest.fixture(scope="session")
def ipfs(tmp_path_factory) -> Ipfs:
    """Run `ipfs` offline in a repository of its own with the profile unixfs-v1-2025; skips where it is not built."""
    binary = kubo_binary()
    if binary is None:
        pytest.skip("Kubo is not built on this machine: run scripts/kubo build")
    environment = os.environ | {"IPFS_PATH": str(tmp_path_factory.mktemp("ipfs") / "repository")}

    def run(*arguments: object, data: bytes | None = None) -> bytes:
        command = [binary, *map(str, arguments)]
        return subprocess.run(command, check=True, capture_output=True, env=environment, input=data).stdout

    run("init", "--profile", "unixfs-v1-2025", "--empty-repo")
    return run


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with hidden files, an empty folder, an empty and a long file, and names that no two sorts agree on."""
    root = tmp_path / "folder"
    files = {
        ".hidden": b"hidden\n",
        "b/x": b"hi\n",
        "b/long": bytes(3 << 20) + b"end",
        "b.txt": b"between b/ and b0\n",
        "b0": b"",
        "z": b"z",
        "Z": b"Z",
        "ä": b"a",
        "😀": b"above the basic plane: after U+FF5E by bytes, before it by UTF-16",
        "\uff5e": b"full width tilde",
        "a\u0308": b"not composed",
        " name with spaces\n": b"",
    }
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "empty").mkdir()
    (root / "b" / "c").mkdir()
    return root
