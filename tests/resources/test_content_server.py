"""The content server of `atlas up`: it shows what it has, lets nothing act in a browser, and answers to nobody else."""

import http.client
import threading

import pytest

from atlas.content.format.cid import cid_of_bytes
from atlas.content.local.store import LocalStore
from atlas.home import AtlasHome
from resources.content_server import content_server, running_content_server

PAGE = b"<html><script>alert(1)</script></html>"
DRAWING = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script/></svg>'


@pytest.fixture
def home(tmp_path):
    return AtlasHome(tmp_path / "atlas")


@pytest.fixture
def store(home):
    return LocalStore(home.content)


@pytest.fixture
def get(home):
    """Get a path of the server; the status, the headers and the body."""
    with content_server(home, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.server_address[1]

        def request(path, method="GET", host=f"127.0.0.1:{port}"):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request(method, path, headers={"Host": host})
            answer = connection.getresponse()
            found = answer.status, answer.headers, answer.read()
            connection.close()
            return found

        yield request
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("data", "kind", "shown"),
    [
        (b'{"kind": "checkpoint"}', "text/plain; charset=utf-8", True),
        ("Zürich\n".encode(), "text/plain; charset=utf-8", True),
        (b"\x89PNG\r\n\x1a\n rest", "image/png", True),
        (b"\xff\xd8\xff rest", "image/jpeg", True),
        (PAGE, "application/octet-stream", False),
        (b"\n  " + PAGE, "application/octet-stream", False),
        (DRAWING, "application/octet-stream", False),
        (b"\x08\0\0\0 tensors", "application/octet-stream", False),
        (b"\xfe broken text", "application/octet-stream", False),
        (b"x" * ((1 << 20) + 1), "application/octet-stream", False),
        (b"", "text/plain; charset=utf-8", True),
    ],
    ids=["json", "text", "png", "jpeg", "html", "html-after-spaces", "svg", "binary", "not-utf-8", "long", "empty"],
)
def test_what_a_browser_could_run_is_saved_and_not_shown(store, get, data, kind, shown):
    cid = store.put(data)
    status, headers, body = get(f"/{cid}")
    assert (status, body, headers["Content-Type"]) == (200, data, kind)
    assert headers["Content-Disposition"] == ("inline" if shown else f'attachment; filename="{cid}"')
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert get(f"/{cid}", method="HEAD")[2] == b""


def test_a_folder_is_listed(store, get, tmp_path):
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_bytes(b"a")
    (folder / "deep" / "b.txt").write_bytes(b"b")
    status, _, body = get(f"/{store.put(folder)}")
    assert status == 200
    assert b"a.txt\ndeep/b.txt\n" in body


@pytest.mark.parametrize("path", ["/", "/../coordinator.db", "/bafy/../x", "/%2e%2e/keys", f"/{cid_of_bytes(b'x')}"])
def test_nothing_but_content_that_is_there_is_found(get, path):
    status, headers, _ = get(path)
    assert status == 404
    assert headers["Cache-Control"] == "no-store"


def test_altered_content_is_not_served(home, store, get):
    cid = store.put(b"true")
    path = home.content / cid[-2:] / cid
    path.chmod(0o600)
    path.write_bytes(b"false")
    status, _, body = get(f"/{cid}")
    assert status == 500
    assert b"false" not in body


def test_a_name_that_points_here_is_refused(store, get):
    cid = store.put(b"private")
    status, _, body = get(f"/{cid}", host="attacker.example")
    assert status == 421
    assert b"private" not in body


def test_nothing_is_written(store, get):
    assert get(f"/{store.put(b'x')}", method="POST")[0] == 501


def test_the_address_is_known_while_it_runs(home):
    assert running_content_server(home) is None
    with content_server(home, 0) as server:
        assert running_content_server(home) == f"http://127.0.0.1:{server.server_address[1]}"
    assert running_content_server(home) is None
