"""The guard in front of a small application that answers everything: which requests reach it."""

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from atlas_pipelines.webserver.address import WebAddress, is_loopback, own_hosts
from atlas_pipelines.webserver.guard import COOKIE, VISITOR, Guard
from atlas_pipelines.webserver.requests import Tokens

OWN = "http://127.0.0.1:3000"
JSON = {"Content-Type": "application/json"}
TOKENS = Tokens(operator="the-operator", guest="a-guest")


async def answer(request):
    return PlainTextResponse(f"reached as {request.scope.get(VISITOR, 'nobody')}")


async def greet(websocket):
    await websocket.accept()
    await websocket.send_text("reached")
    await websocket.close()


def client(hosts, tokens, base=OWN) -> TestClient:
    routes = [
        WebSocketRoute("/graphql", greet),
        Route("/{path:path}", answer, methods=["GET", "HEAD", "POST", "PUT"]),
    ]
    guarded = Starlette(routes=routes, middleware=[Middleware(Guard, hosts=hosts, tokens=tokens)])
    return TestClient(guarded, base_url=base, follow_redirects=False)


@pytest.fixture
def local() -> TestClient:
    return client(own_hosts(3000), None)


@pytest.fixture
def public() -> TestClient:
    return client(None, TOKENS, "http://trainer.example:3000")


def fetched(site: str, mode: str = "cors", dest: str = "empty") -> dict[str, str]:
    return {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/runs", {}),  # a program
        ("GET", "/runs", fetched("none", "navigate", "document")),  # typed into the address line
        ("GET", "/runs", fetched("cross-site", "navigate", "document")),  # a link in another page
        ("POST", "/graphql", {**JSON, "Origin": OWN, **fetched("same-origin")}),
        ("POST", "/graphql", JSON),
        ("POST", "/graphql", {"Content-Type": "application/json; charset=utf-8", "Host": "localhost:3000"}),
        ("GET", "/graphql", {"Accept": "text/html,*/*"}),
    ],
)
def test_own_requests_reach_dagster(local, method, path, headers):
    answered = local.request(method, path, headers=headers)
    assert (answered.status_code, answered.text) == (200, "reached as nobody")
    assert answered.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(
    ("status", "method", "path", "headers"),
    [
        (421, "GET", "/runs", {"Host": "evil.example:3000"}),
        (421, "GET", "/runs", {"Host": "127.0.0.1:3001"}),
        (403, "POST", "/graphql", {**JSON, "Origin": "http://evil.example"}),
        (403, "POST", "/graphql", {**JSON, "Origin": "null"}),
        (403, "POST", "/graphql", {**JSON, "Origin": "http://127.0.0.1:3001"}),  # another program of this machine
        (403, "POST", "/report_asset_materialization/dataset", {"Origin": "http://evil.example"}),
        (403, "GET", "/logs/of/a/run", fetched("cross-site", "no-cors", "image")),
        (403, "GET", "/runs", fetched("same-site", "navigate", "iframe")),
        (403, "GET", "/graphql", {"Accept": "text/html", **fetched("cross-site", "navigate", "document")}),
        (403, "POST", "/runs", fetched("cross-site", "navigate", "document")),  # a form
        (405, "GET", "/graphql?query=mutation{x}", {}),
        (415, "POST", "/graphql?query=mutation{x}", {"Content-Type": "text/plain"}),
        (415, "POST", "/graphql?query=mutation{x}", {}),
    ],
)
def test_requests_of_other_pages_are_refused(local, status, method, path, headers):
    answered = local.request(method, path, headers=headers)
    assert answered.status_code == status
    assert "reached" not in answered.text


@pytest.mark.parametrize(("origin", "reached"), [(OWN, True), ("http://evil.example", False), ("null", False)])
def test_a_websocket_of_another_page_is_refused(local, origin, reached):
    opening = local.websocket_connect("/graphql", headers={"Origin": origin, "Host": "127.0.0.1:3000"})
    if reached:
        with opening as socket:
            assert socket.receive_text() == "reached"
    else:
        with pytest.raises(WebSocketDisconnect) as refused, opening:
            pass
        assert refused.value.code == 1008


def test_without_a_token_nothing_is_open_beyond_this_machine(public):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": f"{COOKIE}=wrong"}, {"Cookie": "x"}):
        assert public.get("/runs", headers=headers).status_code == 401
    assert public.get("/runs?token=wrong").status_code == 401
    with pytest.raises(WebSocketDisconnect), public.websocket_connect("/graphql"):
        pass


def test_a_link_with_a_token_lets_a_browser_in_and_leaves_no_token_in_the_address(public):
    answered = public.get("/runs?view=all&token=the-operator")
    assert (answered.status_code, answered.headers["Location"]) == (303, "/runs?view=all")
    cookie = answered.headers["Set-Cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert public.get("/runs").text == "reached as operator"
    assert public.post("/graphql", headers={**JSON, "Origin": "http://evil.example"}).status_code == 403


def test_a_link_with_a_token_leads_to_no_other_host(public):
    answered = public.get("http://trainer.example:3000//evil.example/?token=the-operator")
    assert answered.headers["Location"] == "/evil.example/"


def test_a_program_sends_its_token_as_bearer(public):
    answered = public.post("/graphql", headers={**JSON, "Authorization": "Bearer the-operator"})
    assert answered.text == "reached as operator"


def test_a_guest_reads(public):
    public.get("/?token=a-guest")
    assert public.get("/runs").text == "reached as guest"
    assert public.post("/graphql", headers=JSON).text == "reached as guest"  # Dagster refuses its mutations
    assert public.post("/report_asset_materialization/dataset", headers=JSON).status_code == 403
    assert public.put("/runs").status_code == 403


@pytest.mark.parametrize(
    ("host", "loopback", "url"),
    [
        ("127.0.0.1", True, "http://127.0.0.1:3000"),
        ("localhost", True, "http://127.0.0.1:3000"),
        ("::1", True, "http://[::1]:3000"),
        ("0.0.0.0", False, "http://127.0.0.1:3000"),
        ("::", False, "http://127.0.0.1:3000"),
        ("10.0.0.5", False, "http://10.0.0.5:3000"),
        ("trainer.example", False, "http://trainer.example:3000"),
    ],
)
def test_only_what_other_machines_reach_needs_a_token(host, loopback, url):
    assert is_loopback(host) is loopback
    assert WebAddress(host, 3000, None).url == url


def test_tokens_are_created_once_and_private(tmp_path):
    from atlas.home import AtlasHome

    home = AtlasHome(tmp_path)
    assert WebAddress.of("127.0.0.1", 3000, home).tokens is None
    first = WebAddress.of("10.0.0.5", 3000, home)
    assert first == WebAddress.of("10.0.0.5", 3000, home)
    assert first.token != first.tokens.guest
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "keys").iterdir()} == {0o600}
    assert first.guest_link == f"http://10.0.0.5:3000/?token={first.tokens.guest}"
