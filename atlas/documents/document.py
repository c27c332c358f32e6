"""Documents, which are frozen pydantic models identified by the CID of their canonical JSON, and their values."""

from typing import Annotated, Any, Self

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from atlas.content.format.cid import cid_of_bytes
from atlas.errors import SpecError
from atlas.ids import Cid, JobId, NodeId
from atlas.suggestions import suggest_field, suggest_value

Positive = Annotated[int, Field(gt=0, lt=2**53)]
"""Canonical JSON cannot hold larger integers."""
JobNumber = Annotated[JobId, Field(gt=0, lt=2**53)]
NodeNumber = Annotated[NodeId, Field(gt=0, lt=2**53)]

OMIT_DEFAULT = "left out of the JSON at its default"
"""Marks a field that was added later, `Annotated[int, OMIT_DEFAULT] = 300`, so that older documents keep their CIDs."""


def describe_validation(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """Turn pydantic's errors into one line per field: `lora.rank: Input should be greater than 0 (found 0)`.

    If `model` is given, an unknown field is reported with the closest known field.
    """
    lines = []
    for item in error.errors():
        field = ".".join(str(part) for part in item["loc"]) or "document"
        found = "" if item["type"] == "missing" else f" (found {item['input']!r:.80})"
        guess = ""
        if item["type"] == "extra_forbidden" and model is not None:
            guess = suggest_field(item["loc"], model)
        elif item["type"] == "literal_error":
            guess = suggest_value(item["input"], item["ctx"]["expected"])
        lines.append(f"{field}: {item['msg']}{found}{guess and f'.{guess}'}")
    return "\n".join(lines)


class Value(BaseModel):
    """A frozen part of a document."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_serializer(mode="wrap")
    def _omit_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = handler(self)
        for name, field in type(self).model_fields.items():
            if OMIT_DEFAULT in field.metadata and getattr(self, name) == field.get_default(call_default_factory=True):
                found.pop(name, None)
        return found


class Document(Value):
    """A value whose identity is the CID of its canonical JSON (RFC 8785)."""

    def canonical_bytes(self) -> bytes:
        """The RFC 8785 encoding in UTF-8; equal values give equal bytes on every machine.

        Raises `SpecError` for values that the encoding cannot represent: integers from 2^53 and lone surrogates.
        """
        try:
            return rfc8785.dumps(self.model_dump(mode="json"))
        except rfc8785.CanonicalizationError as error:
            raise SpecError(f"This {type(self).__name__} has no canonical JSON: {error}.") from error

    @property
    def cid(self) -> Cid:
        """CIDv1 of `canonical_bytes`, as `ipfs add` with the unixfs-v1-2025 profile gives it."""
        return cid_of_bytes(self.canonical_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse a document; raises `SpecError`, which names each invalid field."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise SpecError(f"This is not a valid {cls.__name__}:\n{describe_validation(error, cls)}") from error
