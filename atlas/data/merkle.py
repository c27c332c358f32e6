"""Merkle trees as the contract reads them: SHA-256, leaf prefix 0x00, node prefix 0x01, odd nodes promoted.

The prefixes prevent a leaf from being presented as an inner node (RFC 6962, section 2.1).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from atlas.errors import VerificationError


@dataclass(frozen=True)
class ProofStep:
    """A sibling on the path to the root, and whether it is the left child."""

    sibling: bytes
    left: bool


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """The 32-byte root over the leaves in order; raises `VerificationError` for none."""
    return _levels(leaves)[-1][0]


def merkle_proof(leaves: Sequence[bytes], index: int) -> list[ProofStep]:
    """The siblings from a leaf to the root."""
    steps = []
    for level in _levels(leaves)[:-1]:
        sibling = index ^ 1
        if sibling < len(level):
            steps.append(ProofStep(level[sibling], left=sibling < index))
        index //= 2
    return steps


def root_from_proof(leaf: bytes, proof: Sequence[ProofStep]) -> bytes:
    """The root computed from a leaf and its proof; compare it with the one on chain."""
    digest = _leaf(leaf)
    for step in proof:
        digest = _node(step.sibling, digest) if step.left else _node(digest, step.sibling)
    return digest


def _levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    if not leaves:
        raise VerificationError("A Merkle tree needs at least one leaf, found none.")
    levels = [[_leaf(leaf) for leaf in leaves]]
    while len(levels[-1]) > 1:
        level = levels[-1]
        pairs = [_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        levels.append(pairs + level[len(pairs) * 2 :])
    return levels


def _leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
