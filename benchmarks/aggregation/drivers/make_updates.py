"""Input files: a base adapter, and updates that add random changes to it; all sides use the same files."""

from pathlib import Path
from typing import Any

import numpy as np
from common import answer, update_path, write_tensors


def shapes(modules: int, rank: int, width: int) -> dict[str, tuple[int, int]]:
    """The tensors of a LoRA adapter on the attention of a language model."""
    found = {}
    for module in range(modules):
        layer, projection = divmod(module, 2)
        name = f"base_model.model.model.layers.{layer}.self_attn.{'qv'[projection]}_proj"
        found |= {f"{name}.lora_A.weight": (rank, width), f"{name}.lora_B.weight": (width, rank)}
    return found


def work(
    folder: str,
    modules: int,
    updates: int,
    drift: float,
    deviation: float = 0.02,
    false: int = 0,
    rank: int = 16,
    width: int = 2048,
    seed: int = 0,
) -> dict[str, Any]:
    """Write missing files; `drift` is the standard deviation of an update's changes, `deviation` of the base's numbers.

    The changes of the first `false` updates are 1.5 times as large.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    layout = shapes(modules, rank, width)
    base = _normal(1000 * seed, deviation, layout)
    if not (path := Path(folder) / "base.safetensors").exists():
        write_tensors(path, base)
    for number in range(updates):
        path = update_path(folder, number)
        if not path.exists():
            change = _normal(1000 * seed + number + 1, drift * (1.5 if number < false else 1.0), layout)
            part = path.with_suffix(".part")
            write_tensors(part, {name: base[name] + change[name] for name in base})
            part.replace(path)
    return {"bytes": path.stat().st_size, "numbers": sum(tensor.size for tensor in base.values())}


def _normal(seed: int, deviation: float, layout: dict[str, tuple[int, int]]) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    return {name: draw.standard_normal(shape, np.float32) * np.float32(deviation) for name, shape in layout.items()}


if __name__ == "__main__":
    answer(work)
