"""Bech32 addresses: of accounts, of contracts, of the chain's own purses."""

import hashlib
import struct

import bech32

from chain_bridge.embedded.errors import InvalidAddress

ACCOUNT_BYTES = 20
CONTRACT_BYTES = 32


def encode(raw: bytes, prefix: str) -> str:
    """The address of 20 (account) or 32 (contract) bytes; raises `InvalidAddress` for any other length."""
    if len(raw) not in (ACCOUNT_BYTES, CONTRACT_BYTES):
        raise InvalidAddress(f"An address has {ACCOUNT_BYTES} or {CONTRACT_BYTES} bytes, not {len(raw)}")
    return str(bech32.bech32_encode(prefix, bech32.convertbits(raw, 8, 5) or []))


def decode(text: str, prefix: str) -> bytes:
    """The bytes of an address; raises `InvalidAddress` unless it is lower-case bech32 with this prefix."""
    if not text:
        raise InvalidAddress("empty address string is not allowed")
    found, words = bech32.bech32_decode(text)
    raw = None if words is None else bech32.convertbits(words, 5, 8, False)
    if raw is None or len(raw) not in (ACCOUNT_BYTES, CONTRACT_BYTES):
        raise InvalidAddress(f"decoding bech32 failed: {text!r} is not an address")
    if found != prefix:
        raise InvalidAddress(f"invalid Bech32 prefix; expected {prefix}, got {found}")
    if text.lower() != text:
        raise InvalidAddress(f"decoding bech32 failed: {text!r} is not in lower case")
    return bytes(raw)


def contract_address(code_id: int, instance: int, prefix: str) -> str:
    """The address of the chain's `instance`-th contract, made from `code_id` (wasmd `BuildContractAddressClassic`)."""
    key = b"wasm\0" + struct.pack(">QQ", code_id, instance)
    return encode(hashlib.sha256(hashlib.sha256(b"module").digest() + key).digest(), prefix)


def module_address(name: str, prefix: str) -> str:
    """The purse of a part of the chain, such as `fee_collector` (cosmos-sdk `NewModuleAddress`)."""
    return encode(hashlib.sha256(name.encode()).digest()[:ACCOUNT_BYTES], prefix)
