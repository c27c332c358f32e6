"""An alert as a program, an HTTP server and a mail server on this machine get it."""

import hashlib
import hmac
import json
import socketserver
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from resources.alerts.alert import Alert, FailedCheck
from resources.alerts.deliver import deliver
from resources.alerts.settings import CommandHook, EmailHook, WebhookHook
from resources.errors import AlertNotDelivered, CoordinatorError

ALERT = Alert(
    event="run.failed",
    run="run-1",
    dagster_job="federated_round",
    partition="sentiment-r0002",
    job="sentiment",
    at=1764547200.0,
    text="2 of 4 shards failed.",
    checks=[FailedCheck(asset="round_manifest", check="quorum", severity="ERROR", description="Too few.")],
)
KEY = "k3y"


def serve(server):
    """Run a server in a thread until the test ends."""
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Posted(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        if self.server.status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def web():
    server = HTTPServer(("127.0.0.1", 0), Posted)
    server.requests, server.status = [], 204
    yield from serve(server)


class Smtp(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as one message needs."""

    def handle(self):
        self.say("220 here")
        while line := self.rfile.readline().decode().strip():
            verb = line.split()[0].upper()
            self.server.commands.append(line)
            if verb in self.server.refused:
                self.say(f"{self.server.refused[verb]} refused")
            elif verb == "DATA":
                self.say("354 go on")
                lines = []
                while (text := self.rfile.readline()) != b".\r\n":
                    lines.append(text)
                self.server.messages.append(b"".join(lines).decode())
                self.say("250 taken")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 fine")

    def say(self, text):
        self.wfile.write(f"{text}\r\n".encode())


@pytest.fixture
def mail():
    server = socketserver.TCPServer(("127.0.0.1", 0), Smtp)
    server.commands, server.messages, server.refused = [], [], {}
    yield from serve(server)


def webhook(server, **fields) -> WebhookHook:
    where = {} if "url_variable" in fields else {"url": f"http://127.0.0.1:{server.server_port}/hook"}
    return WebhookHook(name="chat", kind="webhook", seconds=5, **where, **fields)


def email(server, **fields) -> EmailHook:
    place = {"server": "127.0.0.1", "port": server.server_address[1], "tls": "none", "seconds": 5, **fields}
    return EmailHook(name="post", kind="email", sender="atlas@example.org", to=["a@x.org", "b@x.org"], **place)


def command(*words: str, seconds: float = 20) -> CommandHook:
    return CommandHook(name="bell", kind="command", command=[*words], seconds=seconds)


def test_a_program_gets_the_alert_as_json_and_its_arguments_as_they_are(tmp_path):
    script = "import sys; open(sys.argv[1], 'w').write(sys.argv[2] + '\\n' + sys.stdin.read())"
    deliver(ALERT, command(sys.executable, "-c", script, str(tmp_path / "out"), "$(touch x); *"), {})
    argument, body = (tmp_path / "out").read_text().split("\n")
    assert argument == "$(touch x); *"
    assert Alert.model_validate_json(body) == ALERT


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        (command(sys.executable, "-c", "import sys; sys.exit('no battery')"), "exit code 1: no battery"),
        (command("/no/such/program"), "cannot be started: No such file or directory: /no/such/program"),
        (command(sys.executable, "-c", "input(); import time; time.sleep(60)", seconds=0.2), "not end within 0.2 s"),
    ],
)
def test_a_program_that_fails_has_not_taken_the_alert(hook, said):
    with pytest.raises(AlertNotDelivered, match=said):
        deliver(ALERT, hook, {})


def test_a_server_gets_a_body_that_it_can_check_with_the_key(web):
    deliver(ALERT, webhook(web, secret_variable="CHAT_KEY"), {"CHAT_KEY": KEY})
    ((path, headers, body),) = web.requests
    assert path == "/hook"
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Atlas-Signature"] == f"sha256={hmac.new(KEY.encode(), body, hashlib.sha256).hexdigest()}"
    assert json.loads(body)["checks"][0]["check"] == "quorum"
    assert KEY.encode() not in body


def test_without_a_key_nothing_is_signed(web):
    deliver(ALERT, webhook(web), {})
    ((_, headers, _),) = web.requests
    assert "X-Atlas-Signature" not in headers


def test_a_missing_variable_is_named_and_nothing_is_sent(web):
    with pytest.raises(CoordinatorError, match="'chat' needs the environment variable CHAT_KEY") as raised:
        deliver(ALERT, webhook(web, secret_variable="CHAT_KEY"), {})
    assert not isinstance(raised.value, AlertNotDelivered)
    assert web.requests == []


@pytest.mark.parametrize("status", [500, 404, 302])
def test_only_2xx_is_a_delivery_and_no_redirect_is_followed(web, status):
    web.status = status
    with pytest.raises(AlertNotDelivered, match=f"status {status}, expected 2xx"):
        deliver(ALERT, webhook(web), {})
    assert [path for path, _, _ in web.requests] == ["/hook"]


def test_a_secret_url_appears_in_no_message(web):
    url = f"http://127.0.0.1:{web.server_port}/t0ken"
    deliver(ALERT, webhook(web, url_variable="CHAT_URL"), {"CHAT_URL": url})
    assert web.requests[0][0] == "/t0ken"
    for wrong in ("http://127.0.0.1:1/t0ken", "t0ken", "http://[t0ken"):
        with pytest.raises(AlertNotDelivered, match="does not answer") as raised:
            deliver(ALERT, webhook(web, url_variable="CHAT_URL"), {"CHAT_URL": wrong})
        assert "t0ken" not in str(raised.value)


def test_a_mail_server_gets_one_message_for_all_receivers(mail):
    deliver(ALERT.model_copy(update={"partition": "odd\r\nBcc: all@x.org"}), email(mail), {})
    (message,) = mail.messages
    head, _, text = message.partition("\r\n\r\n")
    assert "Subject: Atlas: federated_round odd Bcc: all@x.org failed" in head
    assert "To: a@x.org, b@x.org" in head
    assert not [line for line in head.splitlines() if line.startswith("Bcc")]
    assert "2 of 4 shards failed." in text
    assert "ERROR round_manifest quorum: Too few." in text
    assert [line.split(":")[1] for line in mail.commands if "TO:" in line] == ["<a@x.org>", "<b@x.org>"]


def test_a_mail_server_that_refuses_is_an_error(mail):
    mail.refused = {"DATA": 451}
    with pytest.raises(AlertNotDelivered, match=r"'post' failed: .*451"):
        deliver(ALERT, email(mail), {})


def test_a_mail_server_without_tls_gets_nothing_from_a_hook_that_wants_it(mail):
    with pytest.raises(AlertNotDelivered, match="STARTTLS"):
        deliver(ALERT, email(mail, tls="starttls", user="me", password_variable="P"), {"P": "s3cret"})
    assert mail.messages == []
    assert "s3cret" not in " ".join(mail.commands)
