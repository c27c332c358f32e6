"""Hardware: a machine without NVIDIA is fine, and CUDA_VISIBLE_DEVICES is obeyed."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from chain_bridge.client.network import Network
from node_agent.errors import ConfigError
from node_agent.home.config import NodeConfig
from node_agent.presence.hardware import GpuDevice, find_gpus, summarize, visible_gpus
from node_agent.presence.machine import gpu_of_slot, probe_machine

GPUS = [GpuDevice(index, f"GPU-{letter * 4}", "Test 1000", 8 << 30) for index, letter in enumerate("abc")]


def config(**settings: Any) -> NodeConfig:
    network = Network(chain_id="test", url="grpc+http://127.0.0.1:1", contract="atlas1contract")
    return NodeConfig(network=network, bus="nats://127.0.0.1:1", content=Path("/content"), **settings)


@pytest.fixture
def no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", fail)


@pytest.fixture
def three_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlShutdown", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 3)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: index)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda _: SimpleNamespace(total=8 << 30))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUUID", lambda index: GPUS[index].uuid)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetName", lambda _: "Test 1000")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("no_driver")
def test_without_a_driver_there_are_no_gpus_and_one_slot() -> None:
    assert find_gpus({}) == []
    machine = probe_machine(config())
    assert (machine.slots, machine.capacity, machine.hardware.gpus) == (1, 8, [])
    assert machine.hardware.cores >= 1
    assert machine.hardware.memory_bytes > 0


def test_without_nvidia_ml_py_there_are_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert find_gpus({}) == []


@pytest.mark.usefixtures("no_driver")
def test_a_gpu_that_is_demanded_and_missing_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no NVIDIA GPU is visible"):
        probe_machine(config(device="cuda"))


@pytest.mark.usefixtures("three_gpus")
def test_each_gpu_is_a_slot_of_its_own() -> None:
    assert find_gpus({}) == GPUS
    machine = probe_machine(config())
    assert list(machine.slot_gpus) == [gpu.uuid for gpu in GPUS]
    assert machine.capacity == 24
    assert probe_machine(config(device="cpu")).slots == 1
    assert list(probe_machine(config(slots=4)).slot_gpus) == [GPUS[i].uuid for i in (0, 1, 2, 0)]


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("1", [1]),
        ("2,0", [2, 0]),
        ("GPU-bbbb", [1]),
        ("GPU-c, GPU-a", [2, 0]),
        ("0,7,1", [0]),
        ("-1,0", []),
        ("0,0", [0]),
        ("GPU-", []),
    ],
)
def test_cuda_visible_devices_is_obeyed(limit: str | None, expected: list[int]) -> None:
    assert visible_gpus(GPUS, limit) == [GPUS[index] for index in expected]


def test_what_a_trainer_may_see() -> None:
    assert gpu_of_slot(0, config(device="cpu"), GPUS, {}) == ""
    assert gpu_of_slot(4, config(), GPUS, {}) == "GPU-bbbb"
    assert gpu_of_slot(0, config(), [], {}) is None
    assert gpu_of_slot(0, config(), [], {"CUDA_VISIBLE_DEVICES": "3"}) == "3"


def test_the_same_machine_describes_itself_the_same() -> None:
    assert summarize(GPUS) == summarize(GPUS)
    first, second = probe_machine(config(slots=2)), probe_machine(config(slots=3))
    assert first.manifest("atlas1a").cid == first.manifest("atlas1a").cid != second.manifest("atlas1a").cid
