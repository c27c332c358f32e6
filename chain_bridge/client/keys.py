"""A key on disk: 24 words (BIP-39) in a file that only its owner can read."""

import os
import stat
from pathlib import Path

from atlas.disk.private_file import create_private_file
from atlas.signing import KeySigner
from chain_bridge.errors import KeyFileError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Key:
    """A secp256k1 key at the Cosmos path m/44'/118'/0'/0/0. It signs transactions and, as an `atlas.signing.KeyHolder`,
    receipts and bus messages, and decrypts keys that were wrapped for it.
    """

    def __init__(self, mnemonic: str, prefix: str) -> None:
        # cosmpy's wallet and word list are imported here and below, because most programs never load a key.
        from cosmpy.aerial.wallet import LocalWallet

        self.wallet = LocalWallet.from_mnemonic(mnemonic, prefix=prefix)
        self._signer = KeySigner(self.wallet.signer().private_key_bytes, prefix)

    @property
    def address(self) -> str:
        """The bech32 account address."""
        return self._signer.address

    @property
    def public_key(self) -> bytes:
        """33 bytes, compressed."""
        return self._signer.public_key

    def sign(self, message: bytes) -> bytes:
        """A 64-byte compact signature over SHA-256 of the message."""
        return self._signer.sign(message)

    def agree(self, public_key: bytes) -> bytes:
        """The 32-byte shared secret of the two keys (ECDH); raises `VerificationError` for a malformed key."""
        return self._signer.agree(public_key)

    def __repr__(self) -> str:
        return f"Key({self.address})"


def load_or_create_key(path: Path, prefix: str) -> Key:
    """Read the key at `path`; on first use create it (file mode 600, new folders 700).

    Two processes that race for the same path get the same key. Raises `KeyFileError` when other users can read the
    file or write to its folder, and when the words are not a mnemonic.
    """
    from cosmpy.mnemonic import generate_mnemonic

    if not path.exists():
        create_private_file(path, f"{generate_mnemonic(256)}\n".encode("ascii"))
    return Key(_read(path), prefix)


def read_key(path: Path, prefix: str) -> Key | None:
    """The key at `path`, None where there is no file; raises as `load_or_create_key` does."""
    return Key(_read(path), prefix) if path.exists() else None


def check_key_file(path: Path) -> None:
    """Raise `KeyFileError` when the key at `path` is unsafe or damaged, `OSError` when it cannot be read."""
    _read(path)


def _read(path: Path) -> str:
    if path.parent.stat().st_mode & _OTHERS_WRITE:
        raise KeyFileError(f"Others can replace the key {path}: its folder is writable. Run: chmod 700 {path.parent}")
    with path.open(encoding="ascii", errors="replace") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & _OTHERS:
            raise KeyFileError(
                f"The key {path} has mode {mode:o}, so others may have read it; expected 600. "
                f"Run: chmod 600 {path}, and move its funds to a new key if it was exposed."
            )
        words = file.read().split()
    if not _is_mnemonic(words):
        raise KeyFileError(
            f"{path} does not hold the 24 words of a key: a word is unknown, missing or misspelt. "
            "Restore it from a backup, or move it away to get a new key."
        )
    return " ".join(words)


def _is_mnemonic(words: list[str]) -> bool:
    """Whether these are 24 words whose last bits are the checksum of the rest (BIP-39)."""
    from cosmpy.mnemonic import entropy_to_mnemonic
    from cosmpy.mnemonic.words import ENGLISH_MNEMONIC_WORDS_LIST

    if len(words) != 24 or not set(words) <= set(ENGLISH_MNEMONIC_WORDS_LIST):
        return False
    bits = "".join(f"{ENGLISH_MNEMONIC_WORDS_LIST.index(word):011b}" for word in words)
    entropy = int(bits[:256], 2).to_bytes(32, "big")
    return bool(entropy_to_mnemonic(entropy) == " ".join(words))
