"""A faucet is asked over HTTP: what it sends, what it refuses, what it answers instead."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from chain_bridge.networks.faucet import FaucetRefused, request_coins

# Each test starts servers of its own.
pytestmark = pytest.mark.slow

OPEN = {"uuid": "7"}


@pytest.fixture
def faucet():
    """`faucet(answers)` serves (status, body) pairs, one per call, the last one for ever; its URL and what was sent."""
    servers = []

    def serve(*answers):
        waiting, received = list(answers), []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.do_GET()

            def do_GET(self):
                status, body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}", received

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def claim(status, **more):
    return 200, {"claim": {"status": status, **more}}


def test_it_waits_until_the_coins_are_sent(faucet):
    url, received = faucet((200, OPEN), claim("pending"), claim("complete", txStatus={"hash": "AB"}))
    assert request_coins(url, "fetch1me", sleep=lambda seconds: None) == "AB"
    assert received == [{"address": "fetch1me"}]


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([(429, b"one claim a day")], "429: one claim a day"),
        ([(302, b"")], "302"),
        ([(200, b"<html>")], "<html>"),
        ([(200, {"error": "closed"})], "closed"),
        ([(200, OPEN), claim("failed", reason="dry")], "dry"),
        ([(200, OPEN), (200, {})], "without 'claim'"),
    ],
)
def test_what_it_answers_instead_is_told(faucet, answers, told):
    url, _ = faucet(*answers)
    with pytest.raises(FaucetRefused, match=told):
        request_coins(url, "fetch1me", sleep=lambda seconds: None)


def test_it_is_not_waited_for_without_end(faucet):
    url, _ = faucet((200, OPEN), claim("processing"))
    now = [0.0]
    with pytest.raises(FaucetRefused, match="still processing after 9 s"):
        request_coins(url, "fetch1me", 9, lambda: now[0], lambda seconds: now.__setitem__(0, now[0] + seconds))


def test_one_that_is_away_or_not_https_is_told():
    with pytest.raises(FaucetRefused, match="No answer"):
        request_coins("http://127.0.0.1:1", "fetch1me")
    with pytest.raises(FaucetRefused, match="does not begin with https"):
        request_coins("http://faucet.example", "fetch1me")
