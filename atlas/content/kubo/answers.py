"""What a Kubo node tells about itself, its peers and what it holds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DagStat:
    """What a whole DAG takes."""

    size: int
    """Bytes of all its blocks."""
    blocks: int


@dataclass(frozen=True)
class Provider:
    """A peer that says it has something."""

    peer_id: str
    addresses: list[str]


@dataclass(frozen=True)
class Identity:
    """Who a node is."""

    peer_id: str
    addresses: list[str]
    version: str


@dataclass(frozen=True)
class RepositoryStat:
    """What a node stores."""

    bytes_used: int
    bytes_most: int
    objects: int
