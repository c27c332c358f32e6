"""Types of a Kubo node's answers about itself, its peers and its content."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DagStat:
    """The size of a whole DAG."""

    size: int
    """Bytes of all its blocks."""
    blocks: int


@dataclass(frozen=True)
class Provider:
    """A peer that claims to have a content."""

    peer_id: str
    addresses: list[str]


@dataclass(frozen=True)
class Identity:
    """Identity and addresses of a node."""

    peer_id: str
    addresses: list[str]
    version: str


@dataclass(frozen=True)
class RepositoryStat:
    """Storage use of a node."""

    bytes_used: int
    bytes_most: int
    objects: int
