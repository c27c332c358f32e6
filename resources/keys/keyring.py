"""A coordinator's key rings: the keys that seal its datasets, and the addresses that are revoked."""

import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

import bech32
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from atlas.content.sealed.sealing import KEY_BYTES, DatasetKey, file_key, read_header
from atlas.disk.locks import exclusive
from atlas.disk.private_file import replace_private_file
from atlas.home import AtlasHome
from resources.errors import CoordinatorError

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?")


class KeyRingError(CoordinatorError):
    """A key ring is missing, damaged or readable by others, or lacks the requested key."""


class KeyVersion(BaseModel):
    """One key of a ring."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: str
    key: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    created: float = Field(description="seconds since the epoch")

    @model_validator(mode="after")
    def _id_of_this_key(self) -> Self:
        if self.id != self.dataset_key.id:
            raise ValueError("the id is that of another key")
        return self

    @property
    def dataset_key(self) -> DatasetKey:
        """The key itself."""
        return DatasetKey(bytes.fromhex(self.key))


class KeyRing(BaseModel):
    """The newest key seals; every key opens."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str
    versions: list[KeyVersion] = Field(min_length=1, description="oldest first")
    revoked: list[str] = Field(default_factory=list, description="revoked addresses, which get no keys, sorted")

    @property
    def newest(self) -> DatasetKey:
        """The key that seals new data."""
        return self.versions[-1].dataset_key

    def file_key(self, sealed: Path) -> bytes:
        """The key of one sealed file; raises `KeyRingError` when it was sealed with none of this ring's keys."""
        header = read_header(sealed)
        for version in self.versions:
            if version.id == header.key_id:
                return file_key(version.dataset_key, header)
        raise KeyRingError(
            f"Key ring {self.name!r} has no key {header.key_id}, which {sealed.name} is sealed with. Restore the ring "
            "from a backup, or order the job again under another name."
        )

    def rotated(self, secret: bytes, now: float) -> "KeyRing":
        """The ring with one more key, which is then the newest."""
        version = KeyVersion(id=DatasetKey(secret).id, key=secret.hex(), created=now)
        return self.model_copy(update={"versions": [*self.versions, version]})

    def without(self, addresses: Iterable[str]) -> "KeyRing":
        """The ring with these addresses revoked."""
        return self.model_copy(update={"revoked": sorted({*self.revoked, *addresses})})

    def restored(self, address: str) -> "KeyRing":
        """The ring with this address no longer revoked."""
        return self.model_copy(update={"revoked": [one for one in self.revoked if one != address]})


class KeyRings:
    """The rings of one coordinator: `$ATLAS_HOME/keys/data/NAME.json`, mode 600. `clock` gives unix seconds."""

    def __init__(self, home: AtlasHome, clock: Callable[[], float] = time.time) -> None:
        self._folder = home.root / "keys" / "data"
        self._clock = clock

    def names(self) -> list[str]:
        """The names of all rings, sorted."""
        return sorted(path.stem for path in self._folder.glob("*.json") if NAME.fullmatch(path.stem))

    def get(self, name: str) -> KeyRing:
        """The ring as it is stored now; raises `KeyRingError`."""
        path = self._path(name)
        try:
            with path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                data = file.read()
        except FileNotFoundError as error:
            known = ", ".join(self.names()) or "none"
            raise KeyRingError(f"There is no key ring {name!r} in {self._folder}; there are: {known}.") from error
        except OSError as error:
            raise KeyRingError(f"Cannot read the key ring {path}: {error.strerror or error}.") from error
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeyRingError(
                f"The key ring {path} has mode {mode:o}, so others may have read it; expected 600. "
                f"Run: chmod 600 {path}, and rotate its key if it was exposed: atlas keys rotate {name}"
            )
        return _parse(data, path, name)

    def ensure(self, name: str) -> KeyRing:
        """The ring, created with a random key if it does not exist."""
        path = self._path(name)
        with self._alone():
            if not path.exists():
                self._write(KeyRing.model_construct(name=name, versions=[]).rotated(_random(), self._clock()))
            return self.get(name)

    def rotate(self, name: str) -> KeyRing:
        """Add a random key, which seals new data; raises `KeyRingError`."""
        return self._change(name, lambda ring: ring.rotated(_random(), self._clock()))

    def revoke(self, name: str, addresses: Iterable[str]) -> KeyRing:
        """Revoke these addresses, and add a random key, which seals new data; raises `KeyRingError`."""
        checked = [_address(one) for one in addresses]
        return self._change(name, lambda ring: ring.without(checked).rotated(_random(), self._clock()))

    def restore(self, name: str, address: str) -> KeyRing:
        """End the revocation of an address; raises `KeyRingError`."""

        def change(ring: KeyRing) -> KeyRing:
            if address not in ring.revoked:
                raise KeyRingError(f"{address} is not revoked in key ring {name!r}.")
            return ring.restored(address)

        return self._change(name, change)

    def _change(self, name: str, change: Callable[[KeyRing], KeyRing]) -> KeyRing:
        with self._alone():
            ring = change(self.get(name))
            self._write(ring)
        return ring

    def _write(self, ring: KeyRing) -> None:
        replace_private_file(self._path(ring.name), f"{ring.model_dump_json(indent=2)}\n".encode())

    def _alone(self) -> AbstractContextManager[None]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return exclusive(self._folder / ".lock")

    def _path(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise KeyRingError(
                f"{name!r} is not a valid name of a key ring: expected lowercase letters, digits and hyphens."
            )
        return self._folder / f"{name}.json"


def _parse(data: bytes, path: Path, name: str) -> KeyRing:
    try:
        ring = KeyRing.model_validate_json(data)
    except ValidationError as error:
        fields = sorted({".".join(map(str, item["loc"])) or "document" for item in error.errors(include_input=False)})
        # Without pydantic's message and cause, which may quote a key.
        raise KeyRingError(
            f"The key ring {path} is damaged: {', '.join(fields)}. Restore it from a backup; without it nobody can "
            "open what was sealed with its keys."
        ) from None
    if ring.name != name:
        raise KeyRingError(
            f"The key ring {path} contains the name {ring.name!r}. Rename the file, or restore a backup."
        )
    return ring


def _random() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def _address(text: str) -> str:
    if text != text.lower() or bech32.bech32_decode(text)[1] is None:
        raise KeyRingError(
            f"{text!r} is not an address: expected bech32 as `atlas-node status` shows it. Nothing changed."
        )
    return text
