"""Documents: frozen pydantic models whose canonical JSON names them by CID, and the values that they hold."""

from typing import Annotated, Self

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from atlas.content.cid import cid_of_bytes
from atlas.errors import SpecError

Positive = Annotated[int, Field(gt=0, lt=2**53)]
"""Canonical JSON holds no larger integer."""


def describe_validation(error: ValidationError) -> str:
    """Turn pydantic's errors into one line per field: `lora.rank: Input should be greater than 0 (found 0)`."""
    lines = []
    for item in error.errors():
        field = ".".join(str(part) for part in item["loc"]) or "document"
        found = "" if item["type"] == "missing" else f" (found {item['input']!r:.80})"
        lines.append(f"{field}: {item['msg']}{found}")
    return "\n".join(lines)


class Value(BaseModel):
    """A frozen part of a document."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Document(Value):
    """A value whose identity is the CID of its canonical JSON (RFC 8785)."""

    def canonical_bytes(self) -> bytes:
        """The RFC 8785 encoding in UTF-8; equal values give equal bytes on every machine.

        Raises `SpecError` for what that encoding cannot hold: integers from 2^53, halves of surrogate pairs.
        """
        try:
            return rfc8785.dumps(self.model_dump(mode="json"))
        except rfc8785.CanonicalizationError as error:
            raise SpecError(f"This {type(self).__name__} has no canonical JSON: {error}.") from error

    @property
    def cid(self) -> str:
        """CIDv1 of `canonical_bytes`, as `ipfs add` with the unixfs-v1-2025 profile gives it."""
        return cid_of_bytes(self.canonical_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse a document; raises `SpecError` that names each bad field."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise SpecError(f"This is not a valid {cls.__name__}:\n{describe_validation(error)}") from error
