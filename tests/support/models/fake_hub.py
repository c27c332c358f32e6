"""A local server that speaks the Hub's API as far as an upload needs it, and keeps what was uploaded."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_secret"
ORGANISATION = "lab"


@dataclass
class FakeHub:
    """What the server has been given."""

    url: str = ""
    repositories: dict[str, bool] = field(default_factory=dict)
    """Private or not, by name."""
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Content by path, of each repository."""
    large: dict[str, bytes] = field(default_factory=dict)
    """Content by SHA-256."""


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """Serve until the block ends; writes need `TOKEN` and go to repositories of `ORGANISATION`."""
    hub = FakeHub()

    class Handler(_Handler):
        kept = hub

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield hub
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    kept: FakeHub

    def do_GET(self) -> None:
        self._answer(404, {"error": "Repository not found"})

    def do_PUT(self) -> None:
        data = self._body()
        assert hashlib.sha256(data).hexdigest() == self.path.rpartition("/")[2]
        self.kept.large[self.path.rpartition("/")[2]] = data
        self._answer(200, {})

    def do_POST(self) -> None:
        body, repository = self._body(), "/".join(self.path.removeprefix("/api/models/").split("/")[:2])
        if self.path == "/api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._answer(401, {"error": "Invalid credentials"})
        elif self.path == "/api/repos/create":
            self._create(json.loads(body))
        elif self.path.endswith("/objects/batch"):
            self._answer(
                200, {"transfer": "basic", "objects": [self._place(one) for one in json.loads(body)["objects"]]}
            )
        elif "/preupload/" in self.path:
            kinds = [
                ("lfs" if one["path"].endswith(".safetensors") else "regular", one) for one in json.loads(body)["files"]
            ]
            files = [{"path": one["path"], "uploadMode": kind, "shouldIgnore": False} for kind, one in kinds]
            self._answer(200, {"files": files})
        elif "/commit/" in self.path:
            self._commit(repository, [json.loads(line) for line in body.splitlines()])
        else:
            self._answer(404, {"error": f"no {self.path}"})

    def _create(self, asked: dict) -> None:
        name = f"{asked.get('organization')}/{asked['name']}"
        if asked.get("organization") == "closed":
            self._answer(403, {"error": "You don't have the rights to create a model here"})
        elif asked.get("organization") != ORGANISATION:
            self._answer(404, {"error": "Organization not found"})
        elif name in self.kept.repositories:
            self._answer(409, {"error": "You already created this model repo", "url": f"{self.kept.url}/{name}"})
        else:
            private = asked.get("private") or asked.get("visibility") == "private"
            self.kept.repositories[name] = bool(private)
            self._answer(200, {"url": f"{self.kept.url}/{name}"})

    def _place(self, asked: dict) -> dict:
        upload = {"href": f"{self.kept.url}/put/{asked['oid']}", "header": {}}
        return {"oid": asked["oid"], "size": asked["size"], "actions": {"upload": upload}}

    def _commit(self, repository: str, lines: list[dict]) -> None:
        files = self.kept.files.setdefault(repository, {})
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.kept.large[value["oid"]]
        answer = {"commitUrl": f"{self.kept.url}/{repository}/commit/1", "commitOid": "1", "success": True}
        self._answer(200, answer)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, status: int, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass
