"""The best low-rank approximation of a sum of low-rank products, without forming the sum."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

NOISE = 2.0**-23
"""Directions this far below the strongest one are rounding errors of the float32 inputs."""

_CANCELLED = 2.0**-40
"""Directions this far below the norms of the stacks are rounding errors of float64: the products cancelled out."""


@dataclass(frozen=True)
class Directions:
    """Singular directions, the strongest first, each with the sign that makes its largest left entry positive."""

    left: Matrix
    """(out, found)"""
    values: Matrix
    """(found,)"""
    right: Matrix
    """(found, in)"""


class ProductSum:
    """Σ cᵢ·Bᵢ·Aᵢ in float64, as two stacks of at most `room` rows: all Bᵢᵀ, scaled, and all Aᵢ.

    Full stacks are recompressed to the best approximation of rank `room // 2`. This is exact while the sum has no
    higher rank. Otherwise the weakest directions are lost, and the order of the products matters a little. The bytes
    depend on the machine's kernels and, unless the caller limits them, on its threads.
    """

    def __init__(self, out: int, in_: int, room: int) -> None:
        self._left: Matrix = np.empty((room, out))
        self._right: Matrix = np.empty((room, in_))
        self._used = 0

    def add(self, shares: Matrix, b: NDArray[np.float32], a: NDArray[np.float32]) -> None:
        """Add B·diag(shares)·A, with B (out x k), A (k x in) and k up to half the room."""
        if self._used + len(a) > len(self._right):
            self._recompress(len(self._right) // 2)
        rows = slice(self._used, self._used + len(a))
        np.multiply(b.T, shares[:, None], out=self._left[rows], dtype=np.float64)
        self._right[rows] = a
        self._used += len(a)

    def best(self, rank: int) -> Directions:
        """At most `rank` of the strongest directions, without those that are only rounding errors; possibly none.

        Their sum is the best approximation of that rank (Eckart and Young, 1936).
        """
        basis, projected = self._project(rank)
        u, values, right = np.linalg.svd(projected, full_matrices=False)
        left = basis @ u
        peaks = np.take_along_axis(left, np.abs(left).argmax(axis=0)[None], axis=0)[0]
        signs = np.where(peaks < 0, -1.0, 1.0)
        sizes = np.linalg.norm(self._left[: self._used]) * np.linalg.norm(self._right[: self._used])
        real = slice(np.count_nonzero(values > max(NOISE * values[0], _CANCELLED * sizes)))
        return Directions((left * signs)[:, real], values[real], (right * signs[:, None])[real])

    def _recompress(self, rank: int) -> None:
        basis, projected = self._project(rank)
        self._used = len(projected)
        self._left[: self._used] = basis.T
        self._right[: self._used] = projected

    def _project(self, rank: int) -> tuple[Matrix, Matrix]:
        """An orthonormal basis of the strongest left directions, and the sum in it.

        The stacks' Gram matrices find the directions: with G = R·Rᵀ of the right stack, the eigenvalues of
        Rᵀ·(left·leftᵀ)·R are the squares of the sum's singular values. Squaring halves the precision, so these
        eigenvectors only select the directions. QR makes them a basis, and the sum is projected onto it in full
        precision.
        """
        left, right = self._left[: self._used], self._right[: self._used]
        values, vectors = np.linalg.eigh(right @ right.T)
        root = vectors * np.sqrt(np.maximum(values, 0))
        _, strongest = np.linalg.eigh(root.T @ (left @ left.T) @ root)
        basis, _ = np.linalg.qr(left.T @ (root @ strongest[:, ::-1][:, :rank]))
        return basis, (basis.T @ left.T) @ right
