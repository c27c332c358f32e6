"""Shows content to people in a browser: `python -m resources.content_server --home FOLDER --port PORT`.

It has a separate port, and so a separate origin: content that others have written must not act as a page of Dagster. It
answers requests from this machine only, only reads, and verifies each file against its CID before it is sent.
"""

import argparse
import os
import shutil
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NoReturn

from pydantic import BaseModel, ConfigDict

from atlas.content.format.cid import parse_cid
from atlas.content.local.store import LocalStore
from atlas.disk.files import write_file
from atlas.errors import ContentError, ContentNotFound
from atlas.home import AtlasHome
from atlas.ids import Cid
from atlas.processes import ProcessRef

HOST = "127.0.0.1"
SHOWN_BYTES = 1 << 20
"""Most bytes of a text that is shown in the browser; longer texts are saved as a file."""
PICTURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
FIXED_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, max-age=31536000, immutable",
}


class ContentServer(BaseModel):
    """The contents of `content-server.json` in the coordinator's folder: the server that runs."""

    model_config = ConfigDict(frozen=True)

    url: str
    process: ProcessRef


def running_content_server(home: AtlasHome) -> str | None:
    """The URL of the content server of this folder; None if none runs."""
    try:
        server = ContentServer.model_validate_json(home.content_server_file.read_bytes())
    except FileNotFoundError:
        return None
    return server.url if server.process.runs else None


class Handler(BaseHTTPRequestHandler):
    """Answers `GET /CID` and `HEAD /CID`."""

    store: LocalStore
    hosts: frozenset[str]
    server_version = "atlas-content"
    sys_version = ""

    def do_GET(self) -> None:
        """Send the content of a CID."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Send the headers of a CID's content."""
        self._answer(with_body=False)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Write no line per request."""

    def _answer(self, with_body: bool) -> None:
        # DNS rebinding: another site can resolve its own host name to 127.0.0.1, and its pages could read the answers.
        if self.headers.get("Host") not in self.hosts:
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "Use http://127.0.0.1:PORT/CID, not another name.", with_body)
            return
        try:
            cid = parse_cid(self.path.removeprefix("/"))
        except ContentError:
            self._refuse(HTTPStatus.NOT_FOUND, "The address is http://HOST:PORT/CID of a file.", with_body)
            return
        try:
            path = self.store.fetch(cid)
        except ContentNotFound:
            self._refuse(HTTPStatus.NOT_FOUND, f"{cid} is not in this coordinator's content.", with_body)
        except ContentError as error:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, str(error), with_body)
        else:
            if path.is_dir():
                names = "".join(f"{file.relative_to(path)}\n" for file in sorted(path.rglob("*")) if file.is_file())
                self._send_text(HTTPStatus.OK, f"{cid} is a folder:\n\n{names}", with_body)
            else:
                self._send_file(cid, path, with_body)

    def _send_file(self, cid: Cid, path: Path, with_body: bool) -> None:
        with path.open("rb") as file:
            size = os.fstat(file.fileno())[stat.ST_SIZE]
            kind = shown_as(file.read(SHOWN_BYTES), size)
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", kind or "application/octet-stream")
            self.send_header("Content-Length", str(size))
            self.send_header("Content-Disposition", "inline" if kind else f'attachment; filename="{cid}"')
            self.send_header("ETag", f'"{cid}"')
            self._end_headers()
            if with_body:
                file.seek(0)
                shutil.copyfileobj(file, self.wfile)

    def _send_text(self, status: HTTPStatus, text: str, with_body: bool) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self._end_headers(cached=status == HTTPStatus.OK)
        if with_body:
            self.wfile.write(body)

    def _refuse(self, status: HTTPStatus, text: str, with_body: bool) -> None:
        self._send_text(status, f"{text}\n", with_body)

    def _end_headers(self, cached: bool = True) -> None:
        for name, value in FIXED_HEADERS.items():
            self.send_header(name, value if cached or name != "Cache-Control" else "no-store")
        self.end_headers()


def shown_as(begin: bytes, size: int) -> str | None:
    """The content type under which a browser may show a file that begins like this; None for one to be saved.

    No type that a browser would run: HTML and SVG, as any text that begins with `<`, are saved.
    """
    for mark, kind in PICTURES.items():
        if begin.startswith(mark):
            return kind
    if size > SHOWN_BYTES or b"\0" in begin:
        return None
    try:
        begin.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if begin.lstrip()[:1] == b"<":
        return None
    return "text/plain; charset=utf-8"


@contextmanager
def content_server(home: AtlasHome, port: int) -> Iterator[ThreadingHTTPServer]:
    """A server of the content in this folder, on a port of this machine; 0 takes a free one. It does not answer yet."""

    class HomeHandler(Handler):
        store = LocalStore(home.content)

    with ThreadingHTTPServer((HOST, port), HomeHandler) as server:
        bound = server.server_address[1]
        HomeHandler.hosts = frozenset({f"{HOST}:{bound}", f"localhost:{bound}"})
        url = f"http://{HOST}:{bound}"
        announced = ContentServer(url=url, process=ProcessRef.of_this())
        write_file(home.content_server_file, announced.model_dump_json().encode())
        try:
            yield server
        finally:
            home.content_server_file.unlink(missing_ok=True)


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    with content_server(AtlasHome(arguments.home.absolute()), arguments.port) as server:
        server.serve_forever()


def _end(number: int, frame: object) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    main()
