"""The guard as an ASGI middleware: it answers refused requests itself, and names the visitor of the others."""

from http import HTTPStatus
from http.cookies import SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from atlas_pipelines.webserver.address import PARAMETER
from atlas_pipelines.webserver.requests import Asked, Refusal, Tokens, refuse_foreign, refuse_guest, visitor

COOKIE, VISITOR = "atlas-token", "atlas.visitor"
"""The cookie, and the entry of a scope that has `operator` or `guest`."""
REFUSED_WEBSOCKET = 1008  # policy violation, RFC 6455
HEADERS = [(b"x-frame-options", b"DENY"), (b"content-security-policy", b"frame-ancestors 'none'")]
"""On every answer: no other page may show this one in a frame."""


class Guard:
    """Lets requests through that the operator's own windows make, and with `tokens` only those that carry one."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None, tokens: Tokens | None) -> None:
        self._app, self._hosts, self._tokens = app, hosts, tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        answer = self._answer(scope, _asked(scope))
        if answer is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": REFUSED_WEBSOCKET})
        else:
            await answer(scope, receive, send)

    def _answer(self, scope: Scope, asked: Asked) -> Response | None:
        """The guard's own answer; None if the request goes on to Dagster."""
        refusal = refuse_foreign(asked, self._hosts)
        if refusal is None and self._tokens is not None:
            parameters = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
            if given := dict(parameters).get(PARAMETER):
                return _let_in(scope, parameters, given, asked) if visitor(given, self._tokens) else _no_entry()
            who = visitor(_presented(asked), self._tokens)
            if who is None:
                return _no_entry()
            scope[VISITOR] = who
            refusal = refuse_guest(asked) if who == "guest" else None
        return _refused(refusal) if refusal else None


def _asked(scope: Scope) -> Asked:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return Asked(scope["path"], headers, scope.get("method"))


def _presented(asked: Asked) -> str:
    """The token of a request, from its `Authorization` or its cookie; empty if it has none."""
    scheme, _, token = asked.header("authorization").partition(" ")
    if scheme.lower() == "bearer":
        return token
    morsel = SimpleCookie(asked.header("cookie")).get(COOKIE)
    return morsel.value if morsel else ""


def _let_in(scope: Scope, parameters: list[tuple[str, str]], token: str, asked: Asked) -> Response:
    """Move the token from the address into a cookie, so that it does not stay in the browser's history."""
    rest = urlencode([pair for pair in parameters if pair[0] != PARAMETER])
    path = "/" + asked.path.lstrip("/")  # a browser takes //NAME for another host
    answer = RedirectResponse(path + (f"?{rest}" if rest else ""), HTTPStatus.SEE_OTHER)
    answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=scope["scheme"] == "https")
    return answer


def _no_entry() -> Response:
    return _refused(Refusal(HTTPStatus.UNAUTHORIZED, "Open the link with the token that `atlas up` has printed."))


def _refused(refusal: Refusal) -> Response:
    return PlainTextResponse(f"{refusal.text}\n", refusal.status, {"Cache-Control": "no-store"})


def _with_headers(send: Send) -> Send:
    async def forward(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *HEADERS]}
        await send(message)

    return forward
