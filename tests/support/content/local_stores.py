"""What tests of content stores in folders share: looking into one, ageing content, and using one from elsewhere."""

import os
import subprocess
import sys
import time
from pathlib import Path

from atlas.content.local.store import LocalStore


def contents(store: LocalStore) -> list[Path]:
    """What is in its place."""
    return sorted(store.root.glob("??/*"))


def temporaries(store: LocalStore) -> list[Path]:
    """What writers work at, or left."""
    return sorted((store.root / "tmp").glob("*"))


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A process of its own that uses the store."""
    prelude = (
        "import sys; from pathlib import Path; from atlas.content.local.store import LocalStore; argv = sys.argv[1:]\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", prelude + code, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


def age(path: Path, seconds: float) -> float:
    """Make a content look unused for so long; returns the time that it was last used."""
    used_at = float(int(time.time() - seconds))
    os.utime(path, (used_at, used_at))
    return used_at
