"""A new factor A from a seed, the same on every machine.

Drawn as peft draws it: `kaiming_uniform_` with a=√5 (He et al., arXiv:1502.01852), which is uniform within ±1/√in.
"""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

_BITS = 24  # what a float32 holds of a uniform number


def fresh_factor(seed: str, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Values for the factor A (rank x in) called `name`; equal seeds, names and shapes give equal values.

    Only raw bits of Philox (Salmon et al., SC 2011) and single roundings take part: NumPy may change its distributions,
    and a machine its vector units.
    """
    key = int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:16], "big")
    raw = np.random.Philox(key=key).random_raw(math.prod(shape)) >> np.uint64(64 - _BITS)
    centred = (2 * raw.astype(np.int64) + 1 - 2**_BITS).astype(np.float64) / 2**_BITS
    values: NDArray[np.float32] = (centred / math.sqrt(shape[-1])).astype(np.float32)
    return values.reshape(shape)
