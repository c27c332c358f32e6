"""The fifteen functions that a cosmwasm-std 2.2 contract imports (cosmwasm `packages/vm/src/imports.rs`)."""

import struct
from collections.abc import Callable
from typing import NamedTuple

from chain_bridge.embedded import gas
from chain_bridge.embedded.errors import InvalidAddress, VmError
from chain_bridge.embedded.state import addresses
from chain_bridge.embedded.vm import crypto
from chain_bridge.embedded.vm.instance import Instance

KEY_BYTES = 64 * 1024
VALUE_BYTES = 128 * 1024
QUERY_BYTES = 64 * 1024
TEXT_BYTES = 2 * 1024 * 1024
ADDRESS_BYTES = 256
CANONICAL_BYTES = 64
_BATCH = 256
_ASCENDING, _DESCENDING = 1, 2


def _db_read(call: Instance, key: int) -> int:
    value = call.around.storage.get(call.read(key, KEY_BYTES))
    return 0 if value is None else call.give(value)


def _db_write(call: Instance, key: int, value: int) -> None:
    call.around.storage.set(call.read(key, KEY_BYTES), call.read(value, VALUE_BYTES))


def _db_remove(call: Instance, key: int) -> None:
    call.around.storage.remove(call.read(key, KEY_BYTES))


def _db_scan(call: Instance, start: int, end: int, order: int) -> int:
    if order not in (_ASCENDING, _DESCENDING):
        raise VmError(f"iterator order {order} is neither {_ASCENDING} nor {_DESCENDING}")
    low = call.read(start, KEY_BYTES) if start else None
    high = call.read(end, KEY_BYTES) if end else None
    call.around.iterators.append(call.around.storage.scan(low, high, descending=order == _DESCENDING))
    return len(call.around.iterators)


def _db_next(call: Instance, iterator: int) -> int:
    if not 0 < iterator <= len(call.around.iterators):
        raise VmError(f"iterator {iterator} does not exist")
    key, value = next(call.around.iterators[iterator - 1], (b"", b""))
    return call.give(_join(key, value))


def _addr_validate(call: Instance, text: int) -> int:
    return _or_problem(call, lambda: _check_normal(call, _address(call, text, gas.ADDRESS_VALIDATED)))


def _addr_canonicalize(call: Instance, text: int, target: int) -> int:
    prefix = call.around.prefix
    return _or_problem(
        call, lambda: call.fill(target, addresses.decode(_address(call, text, gas.ADDRESS_CANONICALIZED), prefix))
    )


def _addr_humanize(call: Instance, raw: int, target: int) -> int:
    _charge(call, gas.ADDRESS_HUMANIZED)
    canonical = call.read(raw, CANONICAL_BYTES)
    return _or_problem(call, lambda: call.fill(target, addresses.encode(canonical, call.around.prefix).encode()))


def _address(call: Instance, text: int, price: int) -> str:
    """The text of an address. An empty one is refused without a charge, as cosmwasm-vm does."""
    found = call.read(text, ADDRESS_BYTES).decode("utf-8", "replace")
    if not found:
        raise InvalidAddress("Input is empty")
    _charge(call, price)
    return found


def _check_normal(call: Instance, text: str) -> None:
    if addresses.read_contract(text, call.around.prefix) != text:
        raise InvalidAddress("address not normalized")


def _or_problem(call: Instance, action: Callable[[], object]) -> int:
    """Return 0 if the address is valid, otherwise a region with the reason why it is not."""
    try:
        action()
    except InvalidAddress as error:
        return call.give(error.reason.encode())
    return 0


def _charge(call: Instance, amount: int) -> None:
    call.around.gas.charge(amount, "wasm contract")


def _secp256k1_verify(call: Instance, digest: int, signature: int, key: int) -> int:
    _charge(call, gas.SECP256K1_VERIFIED)
    return crypto.secp256k1_verify(call.read(digest, 32), call.read(signature, 64), call.read(key, 65))


def _secp256k1_recover_pubkey(call: Instance, digest: int, signature: int, recovery: int) -> int:
    _charge(call, gas.SECP256K1_RECOVERED)
    found = crypto.secp256k1_recover(call.read(digest, 32), call.read(signature, 64), recovery)
    return found << 32 if isinstance(found, int) else call.give(found)


def _ed25519_verify(call: Instance, message: int, signature: int, key: int) -> int:
    _charge(call, gas.ED25519_VERIFIED)
    return crypto.ed25519_verify(call.read(message, VALUE_BYTES), call.read(signature, 64), call.read(key, 32))


def _ed25519_batch_verify(call: Instance, messages: int, signatures: int, keys: int) -> int:
    signed = _split(call.read(signatures, (64 + 4) * _BATCH))
    _charge(call, gas.ED25519_VERIFIED * len(signed))
    return crypto.ed25519_batch_verify(
        _split(call.read(messages, (VALUE_BYTES + 4) * _BATCH)), signed, _split(call.read(keys, (32 + 4) * _BATCH))
    )


def _debug(call: Instance, text: int) -> None:
    call.read(text, TEXT_BYTES)


def _abort(call: Instance, text: int) -> None:
    raise VmError("Aborted: " + call.read(text, TEXT_BYTES).decode("utf-8", "replace"))


def _query_chain(call: Instance, request: int) -> int:
    return call.give(call.around.query_chain(call.read(request, QUERY_BYTES)))


def _join(*parts: bytes) -> bytes:
    """Sections: each part, followed by its big-endian length (cosmwasm `packages/vm/src/sections.rs`)."""
    return b"".join(part + struct.pack(">I", len(part)) for part in parts)


def _split(data: bytes) -> list[bytes]:
    parts: list[bytes] = []
    while data:
        length = int.from_bytes(data[-4:], "big")
        if len(data) < length + 4:
            raise VmError("a list of byte strings is cut short")
        parts.insert(0, data[len(data) - 4 - length : -4])
        data = data[: -4 - length]
    return parts


class Import(NamedTuple):
    """A host function, its number of i32 parameters, and its result type: `i32`, `i64` or none."""

    function: Callable[..., int | None]
    parameters: int
    result: str = ""


IMPORTS = {
    "db_read": Import(_db_read, 1, "i32"),
    "db_write": Import(_db_write, 2),
    "db_remove": Import(_db_remove, 1),
    "db_scan": Import(_db_scan, 3, "i32"),
    "db_next": Import(_db_next, 1, "i32"),
    "addr_validate": Import(_addr_validate, 1, "i32"),
    "addr_canonicalize": Import(_addr_canonicalize, 2, "i32"),
    "addr_humanize": Import(_addr_humanize, 2, "i32"),
    "secp256k1_verify": Import(_secp256k1_verify, 3, "i32"),
    "secp256k1_recover_pubkey": Import(_secp256k1_recover_pubkey, 3, "i64"),
    "ed25519_verify": Import(_ed25519_verify, 3, "i32"),
    "ed25519_batch_verify": Import(_ed25519_batch_verify, 3, "i32"),
    "debug": Import(_debug, 1),
    "abort": Import(_abort, 1),
    "query_chain": Import(_query_chain, 1, "i32"),
}
