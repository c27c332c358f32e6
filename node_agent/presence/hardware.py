"""This machine's hardware. A missing NVIDIA driver means no GPUs, not an error."""

import logging
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass

from node_agent.wire.messages import Gpu, HardwareSummary

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GpuDevice:
    """A GPU, and the `uuid` by which CUDA can be limited to it."""

    index: int
    uuid: str
    name: str
    memory_bytes: int


def find_gpus(environment: Mapping[str, str]) -> list[GpuDevice]:
    """The NVIDIA GPUs that `CUDA_VISIBLE_DEVICES` leaves visible; none when driver or nvidia-ml-py are missing."""
    try:
        import pynvml
    except ImportError:
        log.warning("nvidia-ml-py is not installed, so no GPU can be found")
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        log.debug("no NVIDIA driver: %s", error)
        return []
    try:
        gpus = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            memory = int(pynvml.nvmlDeviceGetMemoryInfo(handle).total)
            gpus.append(GpuDevice(index, pynvml.nvmlDeviceGetUUID(handle), pynvml.nvmlDeviceGetName(handle), memory))
    finally:
        pynvml.nvmlShutdown()
    return visible_gpus(gpus, environment.get("CUDA_VISIBLE_DEVICES"))


def visible_gpus(gpus: list[GpuDevice], limit: str | None) -> list[GpuDevice]:
    """The GPUs that a value of `CUDA_VISIBLE_DEVICES` leaves visible, in its order, up to its first unknown entry.

    https://docs.nvidia.com/cuda/cuda-programming-guide/05-appendices/environment-variables.html
    """
    if limit is None:
        return gpus
    chosen: list[GpuDevice] = []
    for entry in limit.split(","):
        name = entry.strip()
        match = [gpu for gpu in gpus if str(gpu.index) == name or (name and gpu.uuid.startswith(name))]
        if len(match) != 1 or match[0] in chosen:
            break
        chosen += match
    return chosen


def summarize(gpus: list[GpuDevice]) -> HardwareSummary:
    """A summary of CPU, memory and the given GPUs."""
    import psutil  # slow, and every Dagster process loads this module

    return HardwareSummary(
        cpu=_cpu_name(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        gpus=[Gpu(name=gpu.name, memory_bytes=gpu.memory_bytes) for gpu in gpus],
    )


def _cpu_name() -> str:
    """The CPU's model name on Linux, else the architecture."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - not a file on every system
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names and names[0] else platform.machine()
