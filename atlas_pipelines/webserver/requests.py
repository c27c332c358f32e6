"""Which requests the web server answers. Pure.

Dagster's web server executes every GraphQL document that reaches it, also one in the address of a GET request or of a
form that a foreign page submits. A browser marks such requests: see "Fetch Metadata Request Headers" (W3C) and RFC 6454
for `Origin`.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

GRAPHQL = "/graphql"
GRAPHQL_BODIES = ("application/json", "application/graphql")
"""Content types that a page of another site cannot send without the server's consent."""
READS = ("GET", "HEAD")


@dataclass(frozen=True)
class Asked:
    """A request, or the opening of a WebSocket."""

    path: str
    headers: Mapping[str, str]
    """With names in lower case."""
    method: str | None = None
    """None for a WebSocket."""

    def header(self, name: str) -> str:
        """The value of a header; empty if it is absent."""
        return self.headers.get(name, "")


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered."""

    status: HTTPStatus
    text: str


@dataclass(frozen=True)
class Tokens:
    """The secrets that open the web server to other machines."""

    operator: str
    guest: str
    """Opens it for reading only."""


def refuse_foreign(asked: Asked, hosts: frozenset[str] | None) -> Refusal | None:
    """Refuse a request that a page of another site makes.

    `hosts` are the accepted values of the header `Host`. None accepts any: then each request must carry a token, which
    a page that is reached under another name does not have.
    """
    host, origin = asked.header("host"), asked.header("origin")
    # DNS rebinding: another site can resolve its own host name to 127.0.0.1.
    if hosts is not None and host not in hosts:
        return Refusal(HTTPStatus.MISDIRECTED_REQUEST, f"Use http://{min(hosts)}, not another name.")
    if origin and urlsplit(origin).netloc != host:
        return Refusal(HTTPStatus.FORBIDDEN, f"Refused: a page of {origin} sent this request.")
    if asked.header("sec-fetch-site") in ("cross-site", "same-site") and not _opens_a_page(asked):
        return Refusal(HTTPStatus.FORBIDDEN, "Refused: a page of another site sent this request.")
    if asked.method is not None and asked.path == GRAPHQL:
        return _refuse_graphql(asked)
    return None


def visitor(presented: str, tokens: Tokens) -> str | None:
    """Whose token this is, `operator` or `guest`; None if it is no token of this server."""
    for name in ("operator", "guest"):
        if secrets.compare_digest(presented.encode(), getattr(tokens, name).encode()):
            return name
    return None


def refuse_guest(asked: Asked) -> Refusal | None:
    """Refuse what a guest may not ask. GraphQL is let through: Dagster itself refuses a guest's mutations."""
    if asked.method in (*READS, None) or asked.path == GRAPHQL:
        return None
    return Refusal(HTTPStatus.FORBIDDEN, "Guests may only read.")


def _opens_a_page(asked: Asked) -> bool:
    """Whether a person follows a link from another site; the page then opens in a window of its own."""
    modes = asked.header("sec-fetch-mode"), asked.header("sec-fetch-dest")
    return asked.method in READS and modes == ("navigate", "document") and asked.path != GRAPHQL


def _refuse_graphql(asked: Asked) -> Refusal | None:
    if asked.method in READS:
        if "text/html" in asked.header("accept"):  # Dagster's page for trying out queries
            return None
        return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Send GraphQL by POST.")
    if not asked.header("content-type").startswith(GRAPHQL_BODIES):
        return Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send GraphQL as {GRAPHQL_BODIES[0]}.")
    return None
