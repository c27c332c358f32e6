"""The virtual machine: checks bytecode, and runs one entry point of a contract at a time."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import wasmtime

from chain_bridge.embedded.errors import OutOfGas, VmError, VmFailed
from chain_bridge.embedded.vm.engine import ModuleCache, check_module, make_engine
from chain_bridge.embedded.vm.imports import IMPORTS, Import
from chain_bridge.embedded.vm.instance import Instance, Surroundings

_ANSWER_BYTES = 64 * 1024 * 1024


class Vm:
    """Runs the code that `find_code` returns for a checksum.

    Not thread-safe: host functions act on the innermost running call.
    """

    def __init__(self, cache: Path, find_code: Callable[[bytes], bytes]) -> None:
        self._engine = make_engine()
        self._modules = ModuleCache(self._engine, cache)
        self._find_code = find_code
        self._codes: dict[bytes, wasmtime.InstancePre] = {}
        self._running: list[Instance] = []
        self._linker = wasmtime.Linker(self._engine)
        for name, item in IMPORTS.items():
            # A FuncType belongs to one engine; sharing one between engines aborts the process.
            self._linker.define_func("env", name, _function_type(item), self._host_function(item.function))

    def check(self, wasm: bytes) -> None:
        """Compile and link bytecode; raises `CodeRefused` that names the features missing on this chain."""
        self._prepare(hashlib.sha256(wasm).digest(), wasm)

    def run(self, checksum: bytes, entry: str, arguments: list[bytes], around: Surroundings) -> bytes:
        """Call an entry point with JSON arguments and return its JSON answer.

        Raises `VmFailed` when the call traps or breaks a rule, `OutOfGas`, and the refusals of host functions.
        """
        code = self._codes.get(checksum) or self._prepare(checksum, self._find_code(checksum))
        try:
            instance = Instance(self._engine, code, around)
        except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
            raise _explain(error, around) from error
        self._running.append(instance)
        try:
            return instance.call(entry, arguments, _ANSWER_BYTES)
        except Exception as error:
            # wasmtime may wrap the error of a host function, so the original is kept in `host_error`.
            raise _explain(instance.host_error or error, around) from error
        finally:
            self._running.pop()
            instance.close()

    def _prepare(self, checksum: bytes, wasm: bytes) -> wasmtime.InstancePre:
        if checksum not in self._codes:
            module = self._modules.load(wasm)
            check_module(module, set(IMPORTS))
            self._codes[checksum] = self._linker.instantiate_pre(module)
        return self._codes[checksum]

    def _host_function(self, function: Callable[..., int | None]) -> Callable[..., int | None]:
        def run(*arguments: int) -> int | None:
            instance = self._running[-1]
            try:
                return function(instance, *arguments)
            except BaseException as error:
                instance.host_error = error
                raise

        return run


def _explain(error: BaseException, around: Surroundings) -> BaseException:
    """The error of a failed call in the form that the chain reports."""
    if isinstance(error, wasmtime.Trap) and error.trap_code == wasmtime.TrapCode.OUT_OF_FUEL:
        return OutOfGas("Wasm engine function execution", around.gas.limit, around.gas.limit)
    if isinstance(error, wasmtime.Trap | wasmtime.WasmtimeError):
        trap = str(error).strip().rpartition("wasm trap: ")[2]
        return VmFailed("unreachable" if "`unreachable`" in trap else trap)
    if isinstance(error, VmError):
        return VmFailed(str(error))
    return error


def _function_type(item: Import) -> wasmtime.FuncType:
    results = {"": [], "i32": [wasmtime.ValType.i32()], "i64": [wasmtime.ValType.i64()]}
    return wasmtime.FuncType([wasmtime.ValType.i32()] * item.parameters, results[item.result])
