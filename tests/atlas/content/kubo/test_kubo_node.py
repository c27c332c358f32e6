"""One node's RPC: against real nodes, and against servers that only pretend to be one."""

import io
import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from atlas.content.format.car import car_chunks, read_car
from atlas.content.format.cid import cid_of_bytes, cid_of_file, cid_of_folder
from atlas.content.kubo.node import KuboNode
from atlas.errors import ContentError, ContentNotFound, ContentUnreachable, CorruptContent

MIB = 1 << 20
STRANGER = "12D3KooWQZmn5gLAL2K7qTzSRErPpEWjHwrYKHTCzGKYXEVs6wLJ"


def random_file(folder, size):
    path = folder / f"random-{size}"
    path.write_bytes(os.urandom(size))
    return path


@pytest.mark.kubo
class TestRealNodes:
    @pytest.fixture
    def node(self, kubo):
        return KuboNode(kubo.urls[0], timeout_seconds=5)

    @pytest.fixture
    def other(self, kubo):
        return KuboNode(kubo.urls[1], timeout_seconds=5)

    @pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 17])
    def test_rpc_program_and_our_own_arithmetic_give_one_cid(self, node, kubo, tmp_path, size):
        path = random_file(tmp_path, size)
        cid = node.add(path)
        assert cid == cid_of_file(path) == kubo.running[0].ipfs("add", "-Q", path)
        assert node.holds(cid)

    def test_a_folder_goes_by_the_cid_that_the_program_prints(self, node, kubo, folder):
        cid = node.add(folder)
        assert cid == cid_of_folder(folder) == kubo.running[0].ipfs("add", "-Q", "-r", "--hidden", folder)

    def test_a_folder_of_many_files_is_answered_while_it_is_sent(self, node, tmp_path):
        for number in range(1500):
            folder = tmp_path / "many" / str(number % 2)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number:04d}-{'x' * 80}").write_text(str(number))
        assert node.add(tmp_path / "many") == cid_of_folder(tmp_path / "many")

    def test_what_is_added_without_a_pin_goes_with_the_garbage(self, node, tmp_path):
        pinned, loose = node.add(random_file(tmp_path, 100)), node.add(random_file(tmp_path, 101), pin=False)
        assert not node.holds(loose)
        assert node.collect_garbage() >= 1
        assert len(node.block(pinned)) == 100
        with pytest.raises(ContentNotFound):
            node.block(loose, timeout_seconds=0.3)

    def test_a_block_comes_from_whichever_node_has_it(self, node, other):
        data = os.urandom(3000)
        cid = node.put_block(data)
        assert cid == cid_of_bytes(data)
        assert other.block(cid) == data
        assert other.block_stat(cid) == 3000

    def test_what_nobody_has_is_not_found_in_time(self, node):
        cid = cid_of_bytes(os.urandom(30))
        quick = KuboNode(node.name, timeout_seconds=0.3)
        for ask in (quick.block, quick.block_stat, quick.dag_stat, quick.pin, lambda cid: list(quick.export_car(cid))):
            with pytest.raises(ContentNotFound):
                ask(cid)
        assert not quick.holds(cid)
        assert quick.find_providers(cid, timeout_seconds=0.3) == []

    def test_a_pin_fetches_the_whole_and_has_a_name(self, node, other, tmp_path):
        cid = node.add(random_file(tmp_path, 3 * MIB))
        assert not other.holds(cid)
        other.pin(cid, name="a round")
        assert other.holds(cid)
        assert other.pins()[cid] == "a round"
        assert other.dag_stat(cid).blocks == 4
        assert other.dag_stat(cid).size > 3 * MIB
        other.unpin(cid)
        assert not other.holds(cid)
        with pytest.raises(ContentNotFound):
            other.unpin(cid)

    def test_a_car_goes_out_and_in(self, node, other, tmp_path, folder):
        path = random_file(tmp_path, 2 * MIB + 5)
        cid = node.add(path)
        car = b"".join(node.export_car(cid))
        assert sorted(block.cid for block in read_car(io.BytesIO(car)))[0].startswith("baf")
        assert sorted(other.import_car(car_chunks([path, folder]))) == sorted([cid, cid_of_folder(folder)])
        assert other.holds(cid)
        assert other.holds(cid_of_folder(folder))

    @pytest.mark.parametrize(
        "damage", [lambda car: car[:-100], lambda car: b"no car at all", lambda car: car[:-1] + b"!"]
    )
    def test_a_damaged_car_is_refused(self, node, other, tmp_path, damage):
        path = random_file(tmp_path, MIB + 1)
        car = damage(b"".join(car_chunks([path])))
        with pytest.raises(ContentError, match="refuses dag/import"):
            node.import_car([car])
        assert not node.holds(cid_of_file(path))

    def test_providers_are_found_with_their_addresses(self, node, other, kubo):
        cid = node.put_block(os.urandom(50))
        node.provide(cid)
        (provider,) = other.find_providers(cid, most=1)
        assert provider.peer_id == kubo.running[0].peer_id
        assert [f"{address}/p2p/{provider.peer_id}" for address in provider.addresses] == kubo.running[0].addresses

    def test_a_name_stands_for_what_was_published_last(self, node, other, kubo):
        for _ in range(2):
            cid = node.put_block(os.urandom(50))
            assert node.publish_name(cid, lifetime_seconds=3600) == kubo.running[0].peer_id
            assert other.resolve_name(kubo.running[0].peer_id) == cid
        with pytest.raises(ContentNotFound):
            other.resolve_name(STRANGER, timeout_seconds=1)

    def test_a_node_tells_about_itself(self, node, kubo):
        identity = node.identity()
        assert identity.peer_id == kubo.running[0].peer_id
        assert identity.addresses == kubo.running[0].addresses
        assert identity.version.startswith("0.")
        assert node.peers() == sorted(running.peer_id for running in kubo.running[1:])
        assert 0 < node.repository().bytes_used < node.repository().bytes_most
        node.connect(kubo.running[1].addresses[0])
        with pytest.raises(ContentError, match="swarm/connect"):
            node.connect("/ip4/127.0.0.1")

    def test_whoever_stops_reading_ends_the_work_on_the_node(self, node, kubo, tmp_path):
        chunks = node.export_car(node.add(random_file(tmp_path, 24 * MIB)))
        next(chunks)
        chunks.close()
        with pytest.raises(ContentNotFound):
            node.pin(cid_of_bytes(os.urandom(30)), timeout_seconds=0.2)
        active = kubo.running[0].ipfs("diag", "cmds")
        while "true" in [
            line.split()[2] for line in active.splitlines()[1:] if "dag/export" in line or "pin/add" in line
        ]:
            active = kubo.running[0].ipfs("diag", "cmds")

    def test_a_proxy_is_not_used(self, kubo, monkeypatch):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        node = KuboNode(kubo.urls[0])
        assert node.identity().peer_id == kubo.running[0].peer_id
        assert node.block(node.put_block(b"direct")) == b"direct"

    def test_a_file_that_cannot_be_read_is_named(self, node, tmp_path):
        with pytest.raises(ContentError, match=r"Cannot read .*nowhere.*No such file"):
            node.add(tmp_path / "nowhere")

    def test_a_gateway_is_no_rpc(self, kubo, tmp_path):
        node = KuboNode(kubo.gateways[0])
        for ask in (node.identity, lambda: node.add(random_file(tmp_path, 10))):
            with pytest.raises(ContentError, match="Check that this is the RPC address of a Kubo node"):
                ask()


@contextmanager
def pretender(status=200, body=b"{}", length=None):
    """A server that gives the same answer to every call; `seen` are the headers that it was sent."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(self.headers)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.send_header("Location", "http://127.0.0.1:9/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield KuboNode(f"http://127.0.0.1:{server.server_port}", timeout_seconds=2), seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


CID = cid_of_bytes(b"anything")


@pytest.mark.slow
def test_three_gibibytes_go_by_the_cid_that_the_program_prints(tmp_path):
    """`truncate -s 3G FILE; ipfs add -Q --only-hash FILE` of Kubo 0.42 with the profile printed this."""
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(3 << 30)
    assert cid_of_file(tmp_path / "sparse") == "bafybeienulqsuewl2oo4alnd2qmrdos765zvxddiybunolmpzlpnoksn74"


def test_nobody_at_the_address_is_an_error_after_a_few_tries():
    node = KuboNode("http://127.0.0.1:9")
    for ask in (node.identity, lambda: node.block(CID), lambda: node.import_car([b"car"])):
        with pytest.raises(
            ContentUnreachable, match=r"http://127\.0\.0\.1:9 cannot be reached .*Check that the node is running"
        ):
            ask()


def test_a_block_larger_than_any_is_refused():
    with pretender(body=bytes(3 * MIB)) as (node, _), pytest.raises(CorruptContent, match="more than"):
        node.block(CID)


def test_an_answer_that_is_cut_off_is_no_answer(tmp_path):
    with pretender(body=b"half", length=100) as (node, _):
        for ask in (lambda: node.block(CID), lambda: node.add(random_file(tmp_path, 10)), node.identity):
            with pytest.raises(ContentUnreachable, match="closed the connection"):
                ask()


@pytest.mark.parametrize("body", [b"", b"nothing like JSON", b"[]", b'{"Hash": "hello"}', b'{"Hash": 7}', b"{}"])
def test_an_answer_in_another_form_is_an_error(tmp_path, body):
    with pretender(body=body) as (node, _), pytest.raises(ContentError):
        node.add(random_file(tmp_path, 10))


@pytest.mark.parametrize("body", [b"", b"nothing like JSON", b"[]", b"{}"])
def test_so_is_one_that_comes_through_the_library(body):
    with pretender(body=body) as (node, _):
        for ask in (node.identity, node.peers, node.pins, node.repository, lambda: node.holds(CID)):
            with pytest.raises(ContentError):
                ask()


def test_an_endless_line_is_refused(tmp_path):
    with pretender(body=b"x" * (2 * MIB)) as (node, _), pytest.raises(ContentError, match="a line of more than"):
        node.add(random_file(tmp_path, 10))


def test_a_redirection_is_not_followed():
    with pretender(status=307) as (node, _), pytest.raises(ContentError, match="HTTP status 307"):
        node.block(CID)


def test_the_authorization_of_the_environment_is_sent(monkeypatch):
    monkeypatch.setenv("ATLAS_IPFS_AUTHORIZATION", "Bearer secret")
    with pretender(status=403) as (node, seen):
        for ask in (node.identity, lambda: node.block(CID)):
            with pytest.raises(ContentError, match=r"403.*ATLAS_IPFS_AUTHORIZATION") as caught:
                ask()
            assert "secret" not in str(caught.value)
    assert [headers["Authorization"] for headers in seen] == ["Bearer secret"] * 2


def test_text_that_is_no_cid_is_sent_nowhere():
    node = KuboNode("http://127.0.0.1:9")
    for ask in (node.block, node.holds, node.pin, node.unpin, node.dag_stat, node.block_stat, node.provide):
        with pytest.raises(ContentError, match="is not a content identifier"):
            ask("--offline=false")
