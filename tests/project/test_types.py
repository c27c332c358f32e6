"""A type checker tells a content identifier from any other text."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Only these are read: with all that `atlas` imports, the check would take minutes.
MODULES = ["atlas/ids.py", "atlas/content/store.py", "atlas/content/format/cid.py"]
SNIPPET = """
from atlas.content.format.cid import parse_cid
from atlas.content.store import ContentStore


def read(store: ContentStore) -> None:
    store.fetch(parse_cid("text"))
    store.fetch("text")
"""


@pytest.mark.slow
def test_a_text_in_the_place_of_a_cid_is_refused(tmp_path):
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET)
    alone = ["--config-file=", "--follow-imports=skip", f"--cache-dir={tmp_path / 'cache'}"]
    command = [sys.executable, "-m", "mypy", *alone, *MODULES, str(snippet)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    (error,) = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert "snippet.py:8: error: " in error, done.stdout
    assert 'Argument 1 to "fetch" of "ContentStore" has incompatible type "str"; expected "Cid"' in error
