"""One running call of a contract: its memory, and the exchange of bytes between host and contract.

A region is three little-endian u32 in the contract's memory: offset, capacity, length
(cosmwasm `packages/vm/src/memory.rs`).
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import wasmtime

from chain_bridge.embedded.errors import VmError
from chain_bridge.embedded.gas import GasMeter
from chain_bridge.embedded.state.storage import Entry, Storage
from chain_bridge.embedded.vm.engine import MEMORY_PAGES

_PAGE_BYTES = 65_536
_REGION = struct.Struct("<III")


@dataclass
class Surroundings:
    """The parts of the chain that a call can access."""

    storage: Storage
    prefix: str
    gas: GasMeter
    query_chain: Callable[[bytes], bytes]
    iterators: list[Iterator[Entry]] = field(default_factory=list)


class Instance:
    """A fresh instance of a contract in a separate store; `close` frees it."""

    def __init__(self, engine: wasmtime.Engine, code: wasmtime.InstancePre, around: Surroundings) -> None:
        self.around = around
        self.host_error: BaseException | None = None
        self._store = wasmtime.Store(engine)
        self._fuel = around.gas.fuel
        self._store.set_fuel(self._fuel)
        self._store.set_limits(memory_size=MEMORY_PAGES * _PAGE_BYTES, instances=1, tables=1, memories=1)
        self._exports = code.instantiate(self._store).exports(self._store)
        memory, allocate = self._exports["memory"], self._exports["allocate"]
        if not isinstance(memory, wasmtime.Memory) or not isinstance(allocate, wasmtime.Func):
            raise VmError("memory and allocate must be a memory and a function")
        self._memory, self._allocate = memory, allocate

    def call(self, entry: str, arguments: list[bytes], most: int) -> bytes:
        """Run an entry point; the answer may have at most `most` bytes.

        Raises `VmError`, a trap of wasmtime, or the error of a host function.
        """
        function = self._exports.get(entry)
        if not isinstance(function, wasmtime.Func):
            raise VmError(f"the contract has no entry point {entry}")
        pointers = [self.give(argument) for argument in arguments]
        return self.read(function(self._store, *pointers), most)

    def read(self, pointer: int, most: int) -> bytes:
        """The bytes of a region; raises `VmError` if it is invalid or has more than `most` bytes."""
        offset, capacity, length = self._region(pointer)
        if length > capacity:
            raise VmError(f"region with length {length} above its capacity {capacity}")
        if length > most:
            raise VmError(f"region too big: {length} bytes, at most {most} are allowed")
        return self._slice(offset, length)

    def give(self, data: bytes) -> int:
        """Copy bytes into memory that the contract allocates; return the new region's pointer."""
        pointer: int = self._allocate(self._store, len(data)) & 0xFFFFFFFF
        self.fill(pointer, data)
        return pointer

    def fill(self, pointer: int, data: bytes) -> None:
        """Copy bytes into a region that the contract allocated."""
        offset, capacity, _ = self._region(pointer)
        if len(data) > capacity:
            raise VmError(f"region too small: {capacity} bytes for {len(data)}")
        self._slice(offset, len(data))
        self._memory.write(self._store, data, offset)
        self._memory.write(self._store, struct.pack("<I", len(data)), (pointer & 0xFFFFFFFF) + 8)

    def close(self) -> None:
        """Charge for the executed operations and free the memory; raises `OutOfGas` beyond the limit."""
        used = self._fuel - self._store.get_fuel()
        self._store.close()
        self.around.gas.charge_fuel(used)

    def _region(self, pointer: int) -> tuple[int, int, int]:
        offset, capacity, length = _REGION.unpack(self._slice(pointer & 0xFFFFFFFF, _REGION.size))
        if offset == 0:
            raise VmError("region at offset 0")
        return offset, capacity, length

    def _slice(self, offset: int, length: int) -> bytes:
        data = bytes(self._memory.read(self._store, offset, offset + length)) if length else b""
        if len(data) != length:
            raise VmError(f"region outside of the memory: {length} bytes at {offset}")
        return data
