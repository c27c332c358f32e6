"""Where the web server listens, and how it is reached there."""

import ipaddress
from dataclasses import dataclass

from atlas.home import AtlasHome
from atlas_pipelines.webserver.requests import Tokens
from atlas_pipelines.webserver.tokens import load_or_create_tokens

PARAMETER = "token"
"""The parameter of a link that has a token."""
EVERY_INTERFACE = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened on


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def own_hosts(port: int) -> frozenset[str]:
    """The values of `Host` under which this machine's windows reach a local port."""
    return frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))


@dataclass(frozen=True)
class WebAddress:
    """The address of a web server, with the tokens that it needs beyond this machine."""

    host: str
    """What it listens on."""
    port: int
    tokens: Tokens | None

    @classmethod
    def of(cls, host: str, port: int, home: AtlasHome) -> "WebAddress":
        """The address, with tokens unless only this machine reaches it. Raises `DiskError`."""
        return cls(host, port, None if is_loopback(host) else load_or_create_tokens(home))

    @property
    def local_host(self) -> str:
        """The host by which this machine reaches the server."""
        return "127.0.0.1" if self.host in (*EVERY_INTERFACE, "localhost") else self.host

    @property
    def url(self) -> str:
        """The URL by which this machine reaches the server."""
        return (
            f"http://[{self.local_host}]:{self.port}"
            if ":" in self.local_host
            else f"http://{self.local_host}:{self.port}"
        )

    @property
    def token(self) -> str | None:
        """The operator's token, if the server needs one."""
        return self.tokens.operator if self.tokens else None

    @property
    def operator_link(self) -> str:
        """What the operator opens."""
        return _link(self.url, self.token)

    @property
    def guest_link(self) -> str | None:
        """What guests open, who may only read; None for a server that only this machine reaches."""
        return _link(self.url, self.tokens.guest) if self.tokens else None


def _link(url: str, token: str | None) -> str:
    return f"{url}/?{PARAMETER}={token}" if token else url
