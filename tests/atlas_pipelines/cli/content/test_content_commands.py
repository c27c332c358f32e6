"""`atlas content`: what is here, from files to CIDs and back, and whether every copy is whole."""

import json
import textwrap
import time

import pytest
from typer.testing import CliRunner, Result

from atlas.content.format.cid import cid_of_bytes, cid_of_file, cid_of_folder
from atlas.content.local.store import LocalStore
from atlas.content.places.open import IpfsPlaces
from atlas.home import AtlasHome
from atlas_pipelines.cli.content.open import describe_content
from atlas_pipelines.cli.main import app
from chain_bridge.client.network import Network
from resources.jobs.registry import JobRegistry
from resources.local.ipfs import LocalIpfs
from resources.local.network_file import LocalNetwork
from resources.settings import Addresses
from tests.support.jobs.finished_job import Maker
from tests.support.jobs.small_round import small_round

ABSENT = cid_of_bytes(b"absent")
KUBO = "http://127.0.0.1:1"


@pytest.fixture
def atlas(tmp_path, monkeypatch):
    """Run `atlas content` in an empty home; the result has `stdout`, `stderr` and `exit_code`."""
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path / "atlas"))
    monkeypatch.delenv("ATLAS_NETWORK", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, expect: int = 0) -> Result:
        result = CliRunner().invoke(app, ["content", *map(str, arguments)])
        assert result.exit_code == expect, result.output
        return result

    run.store = LocalStore(AtlasHome(tmp_path / "atlas").content)
    return run


@pytest.fixture
def folder(tmp_path):
    """A folder with files in it, one of them hidden, and an empty folder."""
    folder = tmp_path / "données"
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "deep" / "rows.jsonl").write_bytes(b"{}\n" * 10)
    (folder / ".hidden").write_bytes(b"")
    return folder


def corrupt(store: LocalStore, cid: str) -> None:
    path = store.fetch(cid)
    path.chmod(0o644)
    path.write_bytes(b"X" + path.read_bytes()[1:])


def test_nothing_is_here_at_first(atlas):
    assert "no content here yet" in atlas("ls").stdout
    assert json.loads(atlas("ls", "--json").stdout) == []
    assert "0 of 0" in atlas("verify").stdout


def test_what_is_added_has_the_cid_of_ipfs_and_stays(atlas, folder, tmp_path):
    file = tmp_path / "a file"
    file.write_bytes(b"hello world\n")
    cids = [cid_of_file(file), cid_of_folder(folder)]
    told = atlas("add", file, folder).stdout
    assert told.splitlines() == [f"added {cids[0]} {file}", f"added {cids[1]} {folder}"]
    assert {one.cid: one.pinned for one in atlas.store.held()} == dict.fromkeys(cids, True)
    loose = atlas("add", "--no-pin", "--json", file).stdout
    assert json.loads(loose) == [{"cid": cids[0], "path": str(file)}]


def test_what_is_not_pinned_can_be_told_from_what_is(atlas):
    first, second = atlas.store.put(b"first"), atlas.store.put(b"second")
    assert json.loads(atlas("pin", first, "--json").stdout) == {"pinned": [first]}
    held = {one["cid"]: one for one in json.loads(atlas("ls", "--json").stdout)}
    assert {cid: (one["size"], one["pins"]) for cid, one in held.items()} == {first: (5, ["kept"]), second: (6, [])}
    line = next(line for line in atlas("ls").stdout.splitlines() if first[:20] in line)
    assert "5 bytes" in line
    assert line.split()[-1] == "kept"
    atlas("unpin", first, second)
    assert not any(one.pinned for one in atlas.store.held())


def test_a_content_stays_while_any_pin_set_has_it(atlas):
    release, other = atlas.store.put(b"release"), atlas.store.put(b"other")
    atlas("pin", release, other)
    atlas("pin", release, "--set", "2026-11")
    listed = json.loads(atlas("ls", "--set", "2026-11", "--json").stdout)
    assert [(one["cid"], one["pins"]) for one in listed] == [(release, ["2026-11", "kept"])]
    atlas("unpin", release, other, "--set", "kept")
    assert {one.cid: one.pins for one in atlas.store.held()} == {release: ("2026-11",), other: ()}
    atlas.store.trim(0)
    assert [one.cid for one in atlas.store.held()] == [release]


def test_what_a_job_names_is_told_and_is_not_used_by_that(atlas):
    manifest = small_round(AtlasHome(atlas.store.root.parent))
    loose = atlas.store.put(b"loose")
    before = list(atlas.store.held())
    told = {one["cid"]: one["is"] for one in json.loads(atlas("ls", "--json").stdout)}
    assert told[loose] == ""
    assert told[manifest.job] == "tiny, spec"
    assert "tiny, round 1" in told[manifest.updates[0].adapter]
    assert list(atlas.store.held()) == before
    corrupt(atlas.store, manifest.job)
    without = atlas("ls", "--json")
    assert {one["is"] for one in json.loads(without.stdout)} == {""}
    assert manifest.job in without.stderr


def test_a_file_comes_back_as_it_was_and_can_be_written(atlas, tmp_path):
    cid = atlas.store.put(b"bytes" * 500_000)
    atlas("get", cid)
    assert (tmp_path / cid).read_bytes() == b"bytes" * 500_000
    assert json.loads(atlas("get", cid, "-o", "again", "--json").stdout) == {
        "cid": cid,
        "path": str(tmp_path / "again"),
    }
    with (tmp_path / "again").open("ab") as file:
        file.write(b"more")
    assert atlas.store.read(cid) == b"bytes" * 500_000


def test_a_folder_comes_back_as_it_was(atlas, folder, tmp_path):
    cid = json.loads(atlas("add", folder, "--json").stdout)[0]["cid"]
    atlas("get", cid, "-o", "copy")
    assert cid_of_folder(tmp_path / "copy") == cid
    (tmp_path / "copy" / "deep" / "new").write_bytes(b"")


def test_nothing_is_overwritten_and_nothing_half_written(atlas, tmp_path):
    good, bad = atlas.store.put(b"good"), atlas.store.put(b"bad")
    kept = tmp_path / "kept"
    kept.write_bytes(b"mine")
    assert "already exists" in atlas("get", good, "-o", kept, expect=1).stderr
    (tmp_path / "link").symlink_to("nowhere")
    assert "already exists" in atlas("get", good, "-o", "link", expect=1).stderr
    corrupt(atlas.store, bad)
    before = sorted(tmp_path.iterdir())
    assert bad in atlas("get", bad, "-o", "new", expect=1).stderr
    assert "nowhere/new" in atlas("get", good, "-o", "nowhere/new", expect=1).stderr
    assert (kept.read_bytes(), sorted(tmp_path.iterdir())) == (b"mine", before)


def test_every_corrupt_copy_is_found(atlas, folder):
    good, *bad = (atlas.store.put(text) for text in (b"good", b"one", b"two"))
    tree = atlas.store.put(folder)
    assert "Whole: 4 of 4 contents." in atlas("verify").stdout
    for cid in bad:
        corrupt(atlas.store, cid)
    done = atlas("verify", expect=1)
    assert done.stderr.startswith("Error: Corrupt or missing: 2 of 4 contents.")
    told = done.stdout
    assert all(f"expected {cid}" in told for cid in bad)
    assert good not in told
    assert "2 of 4" in told
    found = json.loads(atlas("verify", "--json", good, bad[0], ABSENT, expect=1).stdout)
    assert (found["verified"], sorted(found["bad"])) == (1, sorted([bad[0], ABSENT]))
    assert found["error"].startswith("Corrupt or missing: 2 of 3 contents.")
    assert json.loads(atlas("verify", "--json", tree).stdout) == {"verified": 1, "bad": {}, "not_checked": []}


def test_content_that_a_job_needs_and_is_not_here_is_found(atlas):
    job = Maker(atlas.store, JobRegistry(AtlasHome(atlas.store.root.parent).jobs_database)).job("first", 1, rounds=1)
    count, update = len(list(atlas.store.held())), min(job.cids["update"])
    silent = "evidence and promoted models, which only the chain names: no network runs"
    found = json.loads(atlas("verify", "--json").stdout)
    assert found == {"verified": count, "bad": {}, "not_checked": [silent]}
    atlas.store.remove(update, time.time())
    done = atlas("verify", expect=1)
    told = " ".join(done.stdout.split())
    assert f"{update} is missing in {atlas.store.root}: job first may be open: the chain does not answer: " in told
    assert told.endswith(f"Not checked: {silent}. Whole: {count - 1} of {count} contents.")
    assert f"Corrupt or missing: 1 of {count} contents." in done.stderr
    assert json.loads(atlas("verify", "--json", expect=1).stdout)["bad"].keys() == {update}
    assert json.loads(atlas("verify", "--json", min(job.cids["data"])).stdout)["not_checked"] == []


def test_a_check_does_not_count_as_use(atlas):
    atlas.store.put(b"old")
    before = list(atlas.store.held())
    atlas("verify")
    assert list(atlas.store.held()) == before


def test_a_folder_is_one_copy(atlas):
    cid = atlas.store.put(b"bytes")
    found = json.loads(atlas("replicas", "--json").stdout)
    here = str(atlas.store.root)
    assert found == [{"cid": cid, "wanted": 1, "holders": [here], "silent": [], "enough": True}]
    assert "With enough copies: 1 of 1 content." in atlas("replicas", cid).stdout
    assert "0 of 1" in atlas("replicas", ABSENT, expect=1).stdout


def test_a_node_that_does_not_answer_is_told_apart_from_the_result(atlas):
    cid = atlas.store.put(b"bytes")
    found = json.loads(atlas("replicas", "--ipfs", KUBO, "--json", expect=1).stdout)
    assert found == [{"cid": cid, "wanted": 1, "holders": [], "silent": [KUBO], "enough": False}]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["add", "nowhere"], "No file or folder exists at nowhere"),
        (["get", "nonsense"], "'nonsense'"),
        (["get", ABSENT], ABSENT),
        (["pin", ABSENT], ABSENT),
        (["ls", "--ipfs", "localhost:5001"], "nodes.0"),
        (["replicas", "--replicas", "2"], "--ipfs"),
    ],
)
def test_what_cannot_be_done_is_told_in_words(atlas, arguments, told):
    result = atlas(*arguments, expect=1)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert told in result.stderr


@pytest.mark.parametrize("command", ["ls", "add", "get", "pin", "unpin", "gc", "verify", "replicas"])
def test_every_command_has_help(atlas, command):
    assert "--json" in atlas(command, "--help").stdout


def test_the_content_of_a_described_network_is_meant(atlas, tmp_path, monkeypatch):
    elsewhere = LocalStore(tmp_path / "elsewhere")
    cid = elsewhere.put(b"bytes")
    described = tmp_path / "network.yaml"
    described.write_text(
        textwrap.dedent(f"""
            network: {{chain_id: any, url: grpc+http://127.0.0.1:1, contract: atlas1c}}
            bus: nats://127.0.0.1:1
            content: {elsewhere.root}
        """)
    )
    monkeypatch.setenv("ATLAS_NETWORK", str(described))
    assert [one["cid"] for one in json.loads(atlas("ls", "--json").stdout)] == [cid]
    assert "1 of 1" in atlas("verify").stdout


def test_where_content_is_kept_is_told(tmp_path):
    network = Network(chain_id="any", url="grpc+http://127.0.0.1:1")
    addresses = Addresses(network=network, bus="nats://127.0.0.1:1", content=tmp_path)
    assert describe_content(addresses, tmp_path / "own") == str(tmp_path)
    ipfs = LocalIpfs(nodes=[KUBO, f"{KUBO}1", f"{KUBO}2"])
    fields = {**dict(addresses), "content": ipfs.coordinator()}
    local = LocalNetwork(**fields, ipfs=ipfs, pid=1, started=0.0)
    assert describe_content(local, tmp_path) == (
        f"IPFS at {KUBO}; for agents {KUBO}1, {KUBO}2   (copies in {tmp_path})"
    )
    elsewhere = Addresses(**{**fields, "content": IpfsPlaces(nodes=[KUBO], gateways=["http://gate:8080"])})
    assert (
        describe_content(elsewhere, tmp_path) == f"IPFS at {KUBO}; gateways http://gate:8080   (copies in {tmp_path})"
    )
