"""Node-local data: the settings that a node reads it with, and the only document that the node publishes about it."""

import hashlib
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StrictInt, StrictStr, field_validator

from atlas.counts import counted
from atlas.data.merkle import merkle_root
from atlas.data.reading import RowReader
from atlas.data.rows import EncodedRow
from atlas.documents.document import Document
from atlas.documents.manifests import CidField
from atlas.errors import DataError
from atlas.spec.dataset import RowSettings
from atlas.spec.row_part import RowPart

log = logging.getLogger(__name__)

DataName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?$")]


class LocalSource(RowSettings):
    """A node's own dataset, as the node's settings describe it."""

    source: str = Field(description="package:…, hub:… or the path of a file, as in a job's dataset.source")
    where: dict[str, StrictStr | StrictInt] = Field(
        default_factory=dict, description="only rows whose columns have these values"
    )
    keep: RowPart | None = Field(default=None, description="only rows whose text falls into this part")
    jobs: list[CidField] | None = Field(
        default=None, description="CIDs of the job specs that may train on it; null for every job"
    )

    @field_validator("source")
    @classmethod
    def _is_here(cls, source: str) -> str:
        if source.startswith("node-local:"):
            raise ValueError("a node's own data cannot be node-local again; give a file, package:… or hub:…")
        return source


class LocalData(Document):
    """All that a node publishes about its dataset: the columns and number of rows, and a commitment.

    The root commits the node to its rows without revealing them, see `commit_rows`.
    """

    kind: Literal["local-data"] = "local-data"
    name: DataName
    address: str = Field(description="address of the node that has the rows")
    columns: dict[Literal["text", "label"], Literal["text"]] = Field(description="columns of a row, with their types")
    rows: Annotated[int, Field(gt=0, lt=2**53)]
    root: str = Field(pattern=r"^[0-9a-f]{64}$", description="Merkle root of the salted hashes of the rows, hex")


def read_local_rows(source: LocalSource, cache: Path) -> Iterator[EncodedRow]:
    """The rows of a node's dataset in the source's order, each as the line of a shard; downloads go to `cache`.

    The number of skipped bad rows is logged. Raises `DataError` that names the rows or the column; its text may quote
    a row, so show it only to the node's owner.
    """
    reader = RowReader(source.source, source, source.where, source.keep, prefix="")
    yield from reader.rows(cache)
    if reader.bad.count:
        log.warning("skipped %s of %s that cannot be used", counted(reader.bad.count, "row"), source.source)


def commit_rows(name: str, address: str, labelled: bool, lines: Iterable[bytes], salt: bytes) -> LocalData:
    """The document that the node with this address publishes about its rows, given as the lines of a shard.

    A leaf of the Merkle tree is the SHA-256 of the node's salt and the line. The salt keeps others from testing guessed
    rows against the commitment. Raises `DataError` when there are no rows.
    """
    leaves = [hashlib.sha256(salt + line).digest() for line in lines]
    if not leaves:
        raise DataError(
            f"The dataset {name!r} of this node has no rows: its source is empty, or no row matches `where` and "
            "`keep`. Correct the settings."
        )
    return LocalData(
        name=name,
        address=address,
        columns={"label": "text", "text": "text"} if labelled else {"text": "text"},
        rows=len(leaves),
        root=merkle_root(leaves).hex(),
    )
