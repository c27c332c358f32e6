"""The version of a source changes when the source does, and asking for it is cheap."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from atlas.content.format.cid import cid_of_bytes
from atlas.data import fingerprint
from atlas.data.fingerprint import PACKAGE_VERSIONS, short_version, source_fingerprint
from atlas.data.sources.read import PACKAGES
from atlas.errors import DataError
from atlas.spec.dataset import DatasetSpec

ROWS = b"text,label\nfine,yes\n"


def spec(source: str) -> DatasetSpec:
    return DatasetSpec(source=source, shard_by={"rows": 1})


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(ROWS)
    return path


@pytest.fixture
def reads(monkeypatch):
    """The files that were read in full."""
    found, cid_of_file = [], fingerprint.cid_of_file

    def reading(path):
        found.append(path)
        return cid_of_file(path)

    monkeypatch.setattr(fingerprint, "cid_of_file", reading)
    return found


def test_a_file_is_known_by_its_content(rows, tmp_path):
    assert source_fingerprint(spec(str(rows)), tmp_path / "cache") == cid_of_bytes(ROWS)
    assert source_fingerprint(spec(f"csv:{rows}"), tmp_path / "cache") == cid_of_bytes(ROWS)
    rows.write_bytes(ROWS * 2)
    assert source_fingerprint(spec(str(rows)), tmp_path / "cache") == cid_of_bytes(ROWS * 2)


def test_an_unchanged_file_is_read_once(rows, tmp_path, reads):
    os.utime(rows, (1000, 1000))
    versions = {source_fingerprint(spec(str(rows)), tmp_path / "cache") for _ in range(3)}
    assert versions == {cid_of_bytes(ROWS)}
    assert reads == [rows]
    os.utime(rows, (2000, 2000))
    assert source_fingerprint(spec(str(rows)), tmp_path / "cache") == cid_of_bytes(ROWS)
    assert len(reads) == 2


def test_a_file_that_was_just_written_is_read_each_time(rows, tmp_path, reads):
    """Its next version may bear the same size and time."""
    os.utime(rows, (1000, 1000))
    source_fingerprint(spec(str(rows)), tmp_path / "cache", clock=lambda: 1001.0)
    rows.write_bytes(ROWS.replace(b"fine", b"poor"))
    os.utime(rows, (1000, 1000))
    assert source_fingerprint(spec(str(rows)), tmp_path / "cache", clock=lambda: 1001.0) != cid_of_bytes(ROWS)
    assert len(reads) == 2


def test_a_damaged_note_is_written_again(rows, tmp_path, reads):
    os.utime(rows, (1000, 1000))
    source_fingerprint(spec(str(rows)), tmp_path / "cache")
    (note,) = (tmp_path / "cache" / "fingerprints").iterdir()
    for damaged in ("{", "[]", "{}"):
        note.write_text(damaged)
        assert source_fingerprint(spec(str(rows)), tmp_path / "cache") == cid_of_bytes(ROWS)
        assert json.loads(note.read_text())["cid"] == cid_of_bytes(ROWS)


def test_every_package_has_its_pinned_hash(tmp_path):
    assert PACKAGE_VERSIONS.keys() == PACKAGES.keys()
    assert source_fingerprint(spec("package:vader-sentiment"), tmp_path).startswith("sha256:")


def test_data_that_stays_on_its_nodes_is_not_decided_here(tmp_path):
    stays = DatasetSpec(source="node-local:scans", shard_by={"nodes": 2}, holdout_source="rows.csv")
    assert source_fingerprint(stays, tmp_path) is None


@pytest.mark.parametrize("source", ["missing.csv", "hub:../up", "hub:"])
def test_a_source_that_cannot_be_asked(tmp_path, source):
    with pytest.raises(DataError):
        source_fingerprint(spec(source), tmp_path)


def test_short_versions_fit_into_a_name():
    assert short_version("a") != short_version("b")
    assert len(short_version("a")) == 8
    assert int(short_version("a"), 16) >= 0


class Hub(BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.path.startswith("/api/datasets/acme/reviews")
        body = json.dumps({"id": "acme/reviews", "sha": "d" * 40} if known else {"error": "no such dataset"}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Not into the test's output."""


@pytest.fixture
def hub(monkeypatch):
    """A hub on loopback; without the answer of one, its address alone."""
    from huggingface_hub import constants, hf_api

    server = HTTPServer(("127.0.0.1", 0), Hub)
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(hf_api.constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_hub_names_its_revision(hub, tmp_path):
    assert source_fingerprint(spec("hub:acme/reviews:train"), tmp_path) == "d" * 40
    with pytest.raises(DataError, match="Cannot read the revision of hub:acme/absent"):
        source_fingerprint(spec("hub:acme/absent"), tmp_path)


def test_a_hub_that_is_away(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(DataError, match="Check its name, the network and HF_HUB_OFFLINE"):
        source_fingerprint(spec("hub:acme/reviews"), tmp_path)
