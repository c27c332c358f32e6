"""A real HTTP server that gives blocks as a trustless gateway does, or misbehaves as told."""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from atlas.content.format.dag import blocks_of


class BlockServer:
    """Serves `blocks` by CID; `behave` says how, `asked` counts the requests for each CID."""

    def __init__(self) -> None:
        self.blocks: dict[str, bytes] = {}
        self.behave: dict[str, str] = {}
        """How to answer, by CID or `*`: a word of `Handler.do_GET`; else honestly."""
        self.statuses: list[int] = []
        """Statuses to answer with before anything else."""
        self.asked: Counter[str] = Counter()
        self.heads: list[dict[str, str]] = []
        self.released = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16
            disable_nagle_algorithm = True

            def do_HEAD(self) -> None:
                server.heads.append({name.lower(): value for name, value in self.headers.items()})
                cid = urlsplit(self.path).path.removeprefix("/ipfs/")
                self._start(200 if cid in server.blocks else 412, 0)

            def do_GET(self) -> None:
                address = urlsplit(self.path)
                cid = address.path.removeprefix("/ipfs/")
                server.asked[cid] += 1
                assert address.query == "format=raw"
                how = server.behave.get(cid) or server.behave.get("*", "honest")
                if server.statuses:
                    self._start(server.statuses.pop(0), 0)
                elif cid not in server.blocks:
                    self._start(404, 0)
                else:
                    getattr(self, "_" + how)(server.blocks[cid])

            def _honest(self, data: bytes) -> None:
                self._start(200, len(data))
                self.wfile.write(data)

            def _lying(self, data: bytes) -> None:
                self._honest(b"not" + data[3:] if data[:3] != b"not" else b"lie" + data[3:])

            def _swapped(self, data: bytes) -> None:
                self._honest(next(other for other in server.blocks.values() if other != data))

            def _truncated(self, data: bytes) -> None:
                self._start(200, len(data))
                self.wfile.write(data[: len(data) // 2])
                self.close_connection = True

            def _silent(self, data: bytes) -> None:
                server.released.wait(30)
                self._honest(data)

            def _stalled(self, data: bytes) -> None:
                self._start(200, len(data))
                self.wfile.write(data[: len(data) // 2])
                self.wfile.flush()
                server.released.wait(30)
                self.close_connection = True

            def _endless(self, data: bytes) -> None:
                self.send_response(200)
                self.send_header("Connection", "close")
                self.end_headers()
                self.close_connection = True
                try:
                    while True:
                        self.wfile.write(bytes(1 << 16))
                except OSError:
                    return

            def _redirecting(self, data: bytes) -> None:
                self.send_response(302)
                self.send_header("Location", f"{server.url}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def _start(self, status: int, length: int) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(length))
                self.end_headers()

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    return  # whoever asked hung up

            def log_message(self, *arguments: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def serve(self, paths: Iterable[Path]) -> list[str]:
        """Hold files and folders; returns the CIDs of their roots."""
        roots = []
        for path in paths:
            found = list(blocks_of(path))
            self.blocks |= dict(found)
            roots.append(found[-1].cid)
        return roots

    def hold(self, cid: str, data: bytes) -> str:
        self.blocks[cid] = data
        return cid

    @contextmanager
    def running(self) -> Iterator["BlockServer"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.stop()
            thread.join()

    def stop(self) -> None:
        """Answer nobody any more, not even with a refusal of what was asked."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
