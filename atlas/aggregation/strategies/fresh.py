"""New factors from a seed, the same on every machine.

A of a linear layer is drawn as peft draws it: `kaiming_uniform_` with a=√5 (He et al., arXiv:1502.01852), which is
uniform within ±1/√in. For B of an embedding peft draws normal numbers of variance 1; here they are uniform within ±√3,
which has the same variance and needs no function whose rounding depends on the machine. The other factor is zero.
"""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.strategies.fit import Module

_BITS = 24  # the significant bits of a float32


def fresh_factors(seed: str, module: Module) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A (rank x in) and B (out x rank) of a new adapter, whose product is zero."""
    a, b = (module.rank, module.in_), (module.out, module.rank)
    if module.kind.drawn == "A":
        return fresh_factor(seed, module.a, a, math.sqrt(module.in_)), np.zeros(b, np.float32)
    return np.zeros(a, np.float32), fresh_factor(seed, module.b, b, math.sqrt(1 / 3))


def fresh_factor(seed: str, name: str, shape: tuple[int, ...], divisor: float) -> NDArray[np.float32]:
    """Values within ±1/divisor for the factor called `name`; equal arguments give equal values.

    Uses only raw bits of Philox (Salmon et al., SC 2011) and single roundings, because NumPy's distributions and vector
    units may change.
    """
    key = int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:16], "big")
    raw = np.random.Philox(key=key).random_raw(math.prod(shape)) >> np.uint64(64 - _BITS)
    centred = (2 * raw.astype(np.int64) + 1 - 2**_BITS).astype(np.float64) / 2**_BITS
    values: NDArray[np.float32] = (centred / divisor).astype(np.float32)
    return values.reshape(shape)
