"""Finds the settings of a node that work only on the coordinator's machine."""

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from node_agent.home.config import NodeConfig


def only_local(config: NodeConfig) -> list[str]:
    """A sentence for each address that no other machine can reach, and for a content folder; empty if there is none."""
    found = [
        f"{name} is {url}, which other machines cannot reach." for name, url in _urls(config) if not _is_reachable(url)
    ]
    if isinstance(config.content, Path):
        found.append(f"content is the folder {config.content}, which other machines cannot read unless it is shared.")
    return found


def _urls(config: NodeConfig) -> Iterator[tuple[str, str]]:
    yield "network.url", config.network.url
    yield "bus", config.bus
    if isinstance(config.content, Path):
        return
    # The first IPFS node is the machine's own, so its address may be local.
    for name, values in (("nodes", config.content.nodes[1:]), ("gateways", config.content.gateways)):
        yield from ((f"content.{name}", url) for url in values)
    for peer in config.content.peers:
        yield "content.peers", peer


def _is_reachable(address: str) -> bool:
    """Whether the host of a URL or a multiaddress may be reached from other machines."""
    url = address.removeprefix("grpc+")
    host = url.split("/")[2] if url.startswith("/") else urlsplit(url).hostname or ""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return host not in ("", "localhost") and not host.endswith(".localhost")
    return not (ip.is_loopback or ip.is_unspecified or ip.is_link_local)
