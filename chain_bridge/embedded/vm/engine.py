"""The wasm engine: strict settings, a check of a module's imports and exports, and a cache of compiled modules."""

import hashlib
import os
import stat
from importlib.metadata import version
from pathlib import Path

import wasmtime

from atlas.disk.files import write_file
from chain_bridge.embedded.errors import CodeRefused, StateNotWritten
from chain_bridge.errors import ChainError

MEMORY_PAGES = 512
INTERFACE = "interface_version_8"
CAPABILITIES = {"requires_iterator"}
_EXPORTS = {"memory", "allocate", "deallocate", "instantiate", INTERFACE}
# The features after wasm 1.0 that older chains refuse. `wasm_reference_types` must stay on: a component feature
# needs it, and without it wasmtime aborts the process.
_OFF = (
    "wasm_component_model",
    "wasm_bulk_memory",
    "wasm_simd",
    "wasm_relaxed_simd",
    "wasm_threads",
    "wasm_multi_memory",
    "wasm_memory64",
    "wasm_tail_call",
)
_ON = ("consume_fuel", "cranelift_nan_canonicalization")
_SETTINGS = hashlib.sha256(repr((_OFF, _ON)).encode()).hexdigest()[:8]


def make_engine() -> wasmtime.Engine:
    """An engine that counts fuel, computes the same floats on every machine, and accepts only wasm 1.0."""
    config = wasmtime.Config()
    for name in _OFF:
        setattr(config, name, False)
    for name in _ON:
        setattr(config, name, True)
    return wasmtime.Engine(config)


def check_module(module: wasmtime.Module, known_imports: set[str]) -> None:
    """Raise `CodeRefused`, naming the missing features, for a module that this chain cannot run."""
    unknown = sorted(
        f"{item.module}.{item.name}"
        for item in module.imports
        if item.module != "env" or item.name not in known_imports or not isinstance(item.type, wasmtime.FuncType)
    )
    if unknown:
        raise CodeRefused(
            f"the contract imports {', '.join(unknown)}, which this chain does not have; "
            "build it with cosmwasm-std 2.2 and the features std, iterator, abort"
        )
    exports = {item.name: item.type for item in module.exports if item.name}
    if missing := sorted(_EXPORTS - exports.keys()):
        raise CodeRefused(f"the contract does not export {', '.join(missing)}")
    if needed := sorted(name for name in exports if name.startswith("requires_") and name not in CAPABILITIES):
        raise CodeRefused(f"the contract needs {', '.join(needed)}, which this chain does not have")
    memory = exports["memory"]
    if not isinstance(memory, wasmtime.MemoryType) or memory.limits.min > MEMORY_PAGES:
        raise CodeRefused(f"the contract's memory must be exported and start with at most {MEMORY_PAGES} pages")


class ModuleCache:
    """Compiled modules on disk. They are machine code, so only this user may have access to the folder."""

    def __init__(self, engine: wasmtime.Engine, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            raise ChainError(
                f"Compiled contracts in {folder} could be changed by others: mode {stat.S_IMODE(status.st_mode):o}, "
                f"owner {status.st_uid}. Run: chmod 700 {folder}, or remove the folder; it is a cache."
            )
        self._engine = engine
        self._folder = folder

    def load(self, wasm: bytes) -> wasmtime.Module:
        """The compiled module of a bytecode; raises `CodeRefused` if it is not valid wasm 1.0; `StateNotWritten`."""
        name = f"{hashlib.sha256(wasm).hexdigest()}-{version('wasmtime')}-{_SETTINGS}.cwasm"
        path = self._folder / name
        if path.exists():
            try:
                return wasmtime.Module.deserialize_file(self._engine, str(path))
            except wasmtime.WasmtimeError:
                path.unlink(missing_ok=True)  # compiled on a machine with another processor
        try:
            module = wasmtime.Module(self._engine, wasm)
        except wasmtime.WasmtimeError as error:
            raise CodeRefused(f"the bytecode is not valid: {error}") from error
        write_file(path, bytes(module.serialize()), StateNotWritten)
        return module
