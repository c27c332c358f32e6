"""A sum of products of factors, kept in factored form while the factors are smaller than the matrix."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


class LowRankSum:
    """Σ leftᵢ·rightᵢ, for computing its singular values only."""

    def __init__(self, rows: int, columns: int) -> None:
        self._shape = rows, columns
        self._inner = 0
        self._left: list[Matrix] = []
        self._right: list[Matrix] = []

    def add(self, left: Matrix, right: Matrix) -> None:
        """Add left (rows x k) times right (k x columns)."""
        self._left.append(left)
        self._right.append(right)
        self._inner += left.shape[1]
        if self._inner > 2 * min(self._shape):
            self._shrink()

    def singular_values(self) -> Matrix:
        """Largest first, by QR of both stacks of factors and the small core between them (arXiv:2506.09199)."""
        if not self._left:
            return np.zeros(1)
        left, right = self._stacks()
        core = _triangle(left) @ _triangle(right.T).T
        return np.asarray(np.linalg.svd(core, compute_uv=False), np.float64)

    def _shrink(self) -> None:
        """Multiply the factors out when they are larger than the matrix; one factor becomes the identity."""
        left, right = self._stacks()
        rows, columns = self._shape
        pair = (np.eye(rows), left @ right) if rows <= columns else (left @ right, np.eye(columns))
        self._left, self._right, self._inner = [pair[0]], [pair[1]], min(self._shape)

    def _stacks(self) -> tuple[Matrix, Matrix]:
        return np.concatenate(self._left, axis=1), np.concatenate(self._right, axis=0)


def _triangle(stack: Matrix) -> Matrix:
    """R of the QR decomposition of a stack."""
    return np.asarray(np.linalg.qr(stack, mode="r"), np.float64)


def effective_rank(singular_values: Matrix) -> float:
    """The exp of the entropy of σ²/Σσ² (Roy and Vetterli, EUSIPCO 2007, of the energies); 0 for a matrix of zeros."""
    energies = np.square(singular_values)
    total = float(energies.sum())
    if total == 0:
        return 0.0
    shares = energies[energies > 0] / total
    return float(np.exp(-np.sum(shares * np.log(shares))))
