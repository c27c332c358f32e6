"""Bech32 addresses of accounts, contracts and modules."""

import hashlib
import struct

import bech32

from chain_bridge.embedded.errors import ForeignAddress, InvalidAddress

ACCOUNT_BYTES = 20
CONTRACT_BYTES = 32
_LONGEST = 1023


def encode(raw: bytes, prefix: str) -> str:
    """The address of 20 (account) or 32 (contract) bytes; raises `InvalidAddress` for any other length."""
    if len(raw) not in (ACCOUNT_BYTES, CONTRACT_BYTES):
        raise InvalidAddress(f"An address has {ACCOUNT_BYTES} or {CONTRACT_BYTES} bytes, not {len(raw)}")
    return str(bech32.bech32_encode(prefix, bech32.convertbits(raw, 8, 5) or []))


def decode(text: str, prefix: str) -> bytes:
    """The bytes of an address, in lower or upper case; raises `InvalidAddress` unless it is bech32 with this prefix.

    The reasons have the texts of cosmos-sdk `types/address.go`, which wasmd uses to parse addresses.
    """
    found, raw = _parse(text)
    if found != prefix:
        raise InvalidAddress(f"invalid Bech32 prefix; expected {prefix}, got {found}")
    return raw


def read_contract(text: str, prefix: str) -> str:
    """Parse an address as wasmd does, and return it in lower case; raises as `decode`."""
    decode(text, prefix)
    return text.lower()


def read_account(text: str, prefix: str) -> str:
    """Parse an address as the SDK's modules do, and return it in lower case; raises as `decode`.

    The error for another prefix has the text of cosmos-sdk `codec/address/bech32_codec.go`.
    """
    found, _ = _parse(text)
    if found != prefix:
        reason = f"hrp does not match bech32 prefix: expected '{prefix}' got '{found}'"
        raise ForeignAddress(f"{reason}: internal logic error")
    return text.lower()


def _parse(text: str) -> tuple[str, bytes]:
    """The prefix and the bytes; the reasons have the texts of btcutil `bech32/bech32.go`."""
    if not text.strip():
        raise InvalidAddress("empty address string is not allowed")
    lower, separator = text.lower(), text.rfind("1")
    if not 8 <= len(text) <= _LONGEST:
        raise InvalidAddress(f"decoding bech32 failed: invalid bech32 string length {len(text)}")
    if strange := next((char for char in text if not "!" <= char <= "~"), None):
        raise InvalidAddress(f"decoding bech32 failed: invalid character in string: '{strange}'")
    if text not in (lower, text.upper()):
        raise InvalidAddress("decoding bech32 failed: string not all lowercase or all uppercase")
    if separator < 1 or separator + 7 > len(text):
        raise InvalidAddress(f"decoding bech32 failed: invalid separator index {separator}")
    if strange := next((char for char in lower[separator + 1 :] if char not in bech32.CHARSET), None):
        raise InvalidAddress(f"decoding bech32 failed: invalid character not part of charset: {ord(strange)}")
    words = [bech32.CHARSET.index(char) for char in lower[separator + 1 :]]
    checksum = "".join(bech32.CHARSET[word] for word in bech32.bech32_create_checksum(lower[:separator], words[:-6]))
    if checksum != lower[-6:]:
        raise InvalidAddress(f"decoding bech32 failed: invalid checksum (expected {checksum} got {lower[-6:]})")
    raw = bech32.convertbits(words[:-6], 5, 8, False)
    if raw is None:
        raise InvalidAddress("decoding bech32 failed: invalid incomplete group")
    if len(raw) not in (ACCOUNT_BYTES, CONTRACT_BYTES):
        raise InvalidAddress(f"an address has {ACCOUNT_BYTES} or {CONTRACT_BYTES} bytes, not {len(raw)}")
    return lower[:separator], bytes(raw)


def contract_address(code_id: int, instance: int, prefix: str) -> str:
    """The address of the chain's `instance`-th contract, made from `code_id` (wasmd `BuildContractAddressClassic`)."""
    key = b"wasm\0" + struct.pack(">QQ", code_id, instance)
    return encode(hashlib.sha256(hashlib.sha256(b"module").digest() + key).digest(), prefix)


def module_address(name: str, prefix: str) -> str:
    """The address of a module's account, such as `fee_collector` (cosmos-sdk `NewModuleAddress`)."""
    return encode(hashlib.sha256(name.encode()).digest()[:ACCOUNT_BYTES], prefix)
