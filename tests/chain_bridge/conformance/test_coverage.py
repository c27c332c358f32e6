"""The vectors leave no message and no query of the contract out, and refuse every message at least once."""

import json
from pathlib import Path

import pytest

import chain_bridge
from tests.chain_bridge.conformance.test_vectors import VECTORS
from tests.support.conformance.both_chains import Ask, Scene, make_keys

SCHEMA = Path(chain_bridge.__file__).parent / "contract" / "schema" / "atlas.json"
WORDS = " ".join(["abandon"] * 23 + ["art"])


def names(kind):
    """The variants of the schema's `execute` or `query`."""
    found = set()
    for variant in json.loads(SCHEMA.read_text())[kind]["oneOf"]:
        found |= set(variant.get("enum", [])) | set(variant.get("required", []))
    return found


@pytest.fixture(scope="module")
def steps():
    """(kind, name, refused) of every step of every vector."""
    keys = make_keys(WORDS)
    scene = Scene(keys["owner"].address, keys)
    found = set()
    for vector in VECTORS:
        for step in vector.steps(scene):
            body = step.question if isinstance(step, Ask) else step.message
            body = body(1_800_000_000) if callable(body) else body
            if isinstance(body, dict):
                kind = "query" if isinstance(step, Ask) else "execute"
                found |= {(kind, name, bool(step.refused)) for name in body}
    return found


@pytest.mark.parametrize("kind", ["execute", "query"])
def test_everything_succeeds_somewhere(steps, kind):
    assert names(kind) - {name for found, name, refused in steps if found == kind and not refused} == set()


def test_every_message_is_refused_somewhere(steps):
    refused = {name for kind, name, refused in steps if kind == "execute" and refused}
    assert names("execute") - refused == set()
