"""Fixtures of the node agent's tests: keys, and a real message server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from atlas.signing import KeySigner
from tests.support.nodes.nats_server import NatsServer


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    folder = tmp_path / "nats"
    folder.mkdir()
    server = NatsServer(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def alice() -> KeySigner:
    return KeySigner(b"\x01" * 32, "atlas")


@pytest.fixture
def bob() -> KeySigner:
    return KeySigner(b"\x02" * 32, "atlas")
