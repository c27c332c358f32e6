"""A part of a dataset by the hash of each text, so that independent parties can split one source without overlap."""

import hashlib
from typing import Annotated, Self

from pydantic import Field, model_validator

from atlas.documents.document import Value
from atlas.spec.partition_names import nfc


class RowPart(Value):
    """The rows whose text is in the parts `first` to `last`, when texts are divided into `of` parts by their hash.

    Equal texts are in the same part, regardless of other columns and of the source.
    """

    first: Annotated[int, Field(ge=0, description="number of the first part, counted from 0")]
    last: Annotated[int, Field(ge=0, description="number of the last part, included")]
    of: Annotated[int, Field(gt=1, lt=2**31, description="how many parts there are")]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.first <= self.last < self.of:
            raise ValueError("the parts are numbered from 0: first must not exceed last, and last must be below of")
        return self

    def holds(self, text: str) -> bool:
        """Whether SHA-256 of a text (normal form C, UTF-8), as a number modulo `of`, is from `first` to `last`."""
        digest = hashlib.sha256(nfc(text).encode()).digest()
        return self.first <= int.from_bytes(digest, "big") % self.of <= self.last
