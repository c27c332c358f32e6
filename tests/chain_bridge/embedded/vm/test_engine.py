import stat

import pytest
import wasmtime

from chain_bridge.embedded.errors import CodeRefused
from chain_bridge.embedded.vm.engine import ModuleCache, check_module, make_engine
from chain_bridge.embedded.vm.imports import IMPORTS
from chain_bridge.errors import ChainError
from chain_bridge.networks.deploy import read_contract

ENTRIES = """
  (memory (export "memory") 1)
  (func (export "allocate") (param i32) (result i32) i32.const 0) (func (export "deallocate") (param i32))
  (func (export "instantiate") (param i32 i32 i32) (result i32) i32.const 0)
"""
INTERFACE = '(func (export "interface_version_8"))'


def check(text):
    engine = make_engine()
    check_module(wasmtime.Module(engine, wasmtime.wat2wasm(f"(module {text})")), set(IMPORTS))


def test_the_contract_imports_exactly_what_the_host_has():
    engine = make_engine()
    module = wasmtime.Module(engine, read_contract())
    check_module(module, set(IMPORTS))
    assert {item.name for item in module.imports} == set(IMPORTS)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f'(import "env" "db_next_key" (func (param i32) (result i32))) {ENTRIES} {INTERFACE}', r"env\.db_next_key"),
        (f'(import "wasi" "fd_write" (func)) {ENTRIES} {INTERFACE}', r"wasi\.fd_write"),
        (f'(import "env" "db_read" (global i32)) {ENTRIES} {INTERFACE}', r"env\.db_read"),
        (ENTRIES, "does not export interface_version_8"),
        (f'{ENTRIES} {INTERFACE} (func (export "requires_stargate"))', "needs requires_stargate"),
        (ENTRIES.replace(") 1)", ") 513)") + INTERFACE, "at most 512 pages"),
    ],
)
def test_modules_that_cannot_run_are_refused(text, reason):
    with pytest.raises(CodeRefused, match=reason):
        check(text)


def test_a_capability_that_the_host_has_is_fine():
    check(f'{ENTRIES} {INTERFACE} (func (export "requires_iterator"))')


@pytest.mark.parametrize(
    "text",
    [
        "(memory 1) (func (memory.copy (i32.const 0) (i32.const 0) (i32.const 0)))",
        "(func (result v128) (v128.const i64x2 0 0))",
        "(memory 1) (memory 1)",
        "(memory i64 1)",
    ],
)
def test_features_after_wasm_1_are_refused(text, tmp_path):
    cache = ModuleCache(make_engine(), tmp_path / "modules")
    with pytest.raises(CodeRefused, match="the bytecode is not valid"):
        cache.load(bytes(wasmtime.wat2wasm(f"(module {text})")))


def test_a_compiled_module_is_kept_and_replaced_when_damaged(tmp_path):
    wasm = bytes(wasmtime.wat2wasm(f"(module {ENTRIES} {INTERFACE})"))
    folder = tmp_path / "modules"
    ModuleCache(make_engine(), folder).load(wasm)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (path,) = folder.iterdir()
    good = path.read_bytes()
    ModuleCache(make_engine(), folder).load(wasm)
    path.write_bytes(b"damaged")
    module = ModuleCache(make_engine(), folder).load(wasm)
    assert "allocate" in {item.name for item in module.exports}
    assert [item.read_bytes() for item in folder.iterdir()] == [good]


def test_a_cache_that_others_may_touch_is_refused(tmp_path):
    folder = tmp_path / "modules"
    folder.mkdir(mode=0o700)
    folder.chmod(0o750)
    with pytest.raises(ChainError, match=f"chmod 700 {folder}"):
        ModuleCache(make_engine(), folder)
