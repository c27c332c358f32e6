"""`atlas keys`: every key ring can be seen and changed, and no command shows a key."""

import json
from dataclasses import asdict

import pytest
from typer.testing import CliRunner, Result

from atlas.home import AtlasHome
from atlas.signing import KeySigner
from atlas_pipelines.cli.main import app
from resources.keys.key_journal import KeyJournal, KeyRecipient
from resources.keys.keyring import KeyRings

NODE = KeySigner(b"\x01" * 32, "atlas").address


@pytest.fixture
def rings(tmp_path, monkeypatch):
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path))
    return KeyRings(AtlasHome(tmp_path), clock=lambda: 1_000_000_000.0)


@pytest.fixture
def keys(rings, tmp_path):
    """Run `atlas keys`; fails when the answer holds a key."""

    def run(*arguments: str) -> Result:
        done = CliRunner().invoke(app, ["keys", *arguments])
        for name in rings.names():
            for version in rings.get(name).versions:
                assert version.key not in done.stdout + done.stderr
        return done

    return run


def test_without_a_ring_there_is_advice(keys):
    assert "dataset.keyring" in keys("ls").stdout
    assert json.loads(keys("ls", "--json").stdout) == []
    refused = keys("rotate", "ward")
    assert (refused.exit_code, "no key ring 'ward'" in refused.stderr) == (1, True)


def test_a_ring_is_listed_rotated_revoked_and_restored(keys, rings):
    first = rings.ensure("ward").newest.id
    assert json.loads(keys("ls", "--json").stdout) == [
        {
            "ring": "ward",
            "keys": [{"id": first, "created": "2001-09-09T01:46:40+00:00", "seals": True}],
            "revoked": [],
        }
    ]
    rotated = json.loads(keys("rotate", "ward", "--json").stdout)
    assert [(key["id"], key["seals"]) for key in rotated["keys"]] == [
        (first, False),
        (rings.get("ward").newest.id, True),
    ]
    assert NODE in keys("revoke", "ward", NODE).stdout
    ring = rings.get("ward")
    assert (ring.revoked, len(ring.versions)) == ([NODE], 3)
    listed = keys("ls").stdout
    assert all(text in listed for text in ("ward", first, ring.newest.id, NODE[:8]))
    assert json.loads(keys("restore", "ward", NODE, "--json").stdout)["revoked"] == []
    assert keys("revoke", "ward", NODE[:-1]).exit_code == 1
    assert keys("revoke", "ward").exit_code == 2


def test_who_was_given_a_key_is_listed(keys, rings, tmp_path):
    rings.ensure("ward")
    assert "No node was given a key of ring ward" in keys("released", "ward").stdout
    assert keys("released", "other").exit_code == 1
    given = KeyRecipient("ward", NODE, "atlas1contract", 3, "sentiment", 2, 1, "s000", "bafkreifile")
    KeyJournal(AtlasHome(tmp_path).jobs_database, clock=lambda: 1_000_000_000.0).note(given)
    expected = {"released": "2001-09-09T01:46:40+00:00", **asdict(given)}
    assert json.loads(keys("released", "ward", "--json").stdout) == [expected]
    shown = keys("released", "ward").stdout
    assert all(text in shown for text in ("2001-09-09", "sentiment", "s000", "bafkreifile", NODE[:8]))
