"""The Python environments of the peers, created under `.bench/`, each from a pinned requirements file."""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent.parent
BENCH = REPOSITORY / ".bench"
PEERS = {path.stem: path for path in sorted((Path(__file__).parent / "peers").glob("*.txt"))}


def bench_folder(name: str) -> Path:
    """A folder under `.bench/`, which git ignores."""
    folder = BENCH / name
    folder.mkdir(parents=True, exist_ok=True)
    (BENCH / ".gitignore").write_text("*\n")
    return folder


def python_of(environment: str) -> Path:
    """The Python interpreter of a peer, in an environment that is created if missing; `atlas` is the current one."""
    if environment == "atlas":
        return Path(sys.executable)
    requirements = PEERS[environment]
    pinned = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = bench_folder("environments") / f"{environment}-{pinned}"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").is_file():
            _install(environment, requirements, folder)
            (folder / "complete").touch()
    return folder / "bin" / "python"


def _install(environment: str, requirements: Path, folder: Path) -> None:
    print(f"installing {environment} into {folder}", file=sys.stderr, flush=True)
    uv = Path(sys.executable).parent / "uv"
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--no-deps", "--requirement", requirements],
        check=True,
        env={**os.environ, "VIRTUAL_ENV": str(folder)},
    )
