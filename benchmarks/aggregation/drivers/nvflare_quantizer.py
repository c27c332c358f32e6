"""An update through NVFlare's ModelQuantizer: its size in bytes, and the relative error of the decoded change."""

import contextlib
import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import answer, read_tensors
from nvflare.apis.dxo import DXO, DataKind
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.app_opt.pt.quantization.dequantizer import ModelDequantizer
from nvflare.app_opt.pt.quantization.quantizer import ModelQuantizer

logging.disable(logging.CRITICAL)


def work(update: str, base: str, kind: str, folder: str = "") -> dict[str, Any]:
    """Quantize the whole update as `float16`, `adaquant` or `blockwise8`; the last needs a GPU."""
    if kind == "blockwise8" and not torch.cuda.is_available():
        return {"bytes": None, "error": None, "needs": "a GPU"}
    new, old = read_tensors(Path(update)), read_tensors(Path(base))
    context = FLContext()
    sent = DXO(DataKind.WEIGHTS, data={name: values.copy() for name, values in new.items()})
    with contextlib.redirect_stdout(io.StringIO()):
        quantized = ModelQuantizer(kind).process_dxo(sent, Shareable(), context)
        size = sum(values.nbytes for values in quantized.data.values()) + _bytes(quantized.meta)
        back = ModelDequantizer().process_dxo(quantized, Shareable(), context)
    lost = sum(float(np.square(np.asarray(back.data[name], np.float64) - new[name]).sum()) for name in new)
    whole = sum(float(np.square(new[name] - old[name], dtype=np.float64).sum()) for name in new)
    return {"bytes": size, "error": (lost / whole) ** 0.5}


def _bytes(meta: Any) -> int:
    """The bytes of the metadata that are sent with the values: arrays and numbers."""
    if isinstance(meta, dict):
        return sum(_bytes(value) for value in meta.values())
    if isinstance(meta, list | tuple):
        return sum(_bytes(value) for value in meta)
    return int(getattr(meta, "nbytes", 8 if isinstance(meta, int | float) else 0))


if __name__ == "__main__":
    answer(work)
