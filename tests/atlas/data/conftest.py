"""What the tests of data share: a store, files of rows, and the VADER archive, downloaded once."""

import json
from pathlib import Path

import pytest

from atlas.content.local.store import LocalStore


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


@pytest.fixture
def write_rows(tmp_path):
    """Write rows to a JSONL file and give its path as a source."""

    def write(rows, name="rows.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture(scope="session")
def vader_cache(pytestconfig) -> Path:
    return Path(pytestconfig.cache.mkdir("vader"))
