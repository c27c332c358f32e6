"""Sums over a Gram matrix, computed elementwise in a fixed order, so that results are equal on every machine."""

import math

import numpy as np
from numpy.typing import NDArray


def cosine_matrix(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cosines from a Gram matrix, with one on the diagonal; zero for a zero change."""
    lengths = np.sqrt(np.diag(gram))
    scales = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    cosines: NDArray[np.float64] = np.clip(gram * scales[:, None] * scales, -1, 1)
    np.fill_diagonal(cosines, 1)
    return cosines


def squared_distances(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, N): ‖δᵢ - δⱼ‖² of all pairs."""
    squares = gram.diagonal()
    return np.asarray(np.maximum(squares[:, None] + squares[None, :] - 2 * gram, 0.0))


def products_with(gram: NDArray[np.float64], coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,): ⟨δᵢ, v⟩ for v = Σ cⱼδⱼ."""
    products = np.zeros(len(gram))
    for row, coefficient in zip(gram, coefficients, strict=True):
        products += row * coefficient
    return products


def distances_to(gram: NDArray[np.float64], coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,): ‖δᵢ - v‖ for v = Σ cⱼδⱼ."""
    products = products_with(gram, coefficients)
    square = math.fsum(products * coefficients)
    return np.asarray(np.sqrt(np.maximum(gram.diagonal() - 2 * products + square, 0.0)))


def principal_direction(matrix: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The largest eigenvalue of a positive semidefinite matrix, and its unit eigenvector.

    Power iteration from the longest column, which has a component in that direction. It ends when the eigenvalue grows
    by less than a millionth, or after 100 passes. Sums go row by row, so that every machine rounds them equally.
    """
    squares = (matrix**2).sum(axis=0)
    vector = matrix[:, int(np.argmax(squares))]
    value = 0.0
    for _ in range(100):
        length = math.sqrt(math.fsum(vector**2))
        if length <= 0:
            return 0.0, np.zeros(len(matrix))
        vector = vector / length
        after = (matrix * vector[:, None]).sum(axis=0)
        before, value = value, math.fsum(after * vector)
        if value <= before * (1 + 1e-6):
            break
        vector = after
    length = math.sqrt(math.fsum(vector**2))
    return max(value, 0.0), vector / length
