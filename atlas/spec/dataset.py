"""The data of a job: the source of the rows, their columns, the sharding, and the sealing."""

import codecs
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from atlas.documents.document import OMIT_DEFAULT, Positive, Value
from atlas.spec.row_part import RowPart


class ShardRule(Value):
    """How a dataset is cut into shards: by a column's value, a number of rows, or a number of bytes (exactly one).

    Node-local data has one shard per node, and needs at least `nodes` nodes.
    """

    column: str | None = Field(default=None, description="one shard for each value of this column")
    rows: Positive | None = Field(default=None, description="largest number of rows in a shard")
    bytes: Positive | None = Field(default=None, description="largest number of bytes in a shard")
    nodes: Positive | None = Field(default=None, description="least number of nodes that must offer the data")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(value is not None for value in (self.column, self.rows, self.bytes, self.nodes)) != 1:
            raise ValueError("give exactly one of column, rows, bytes; or nodes, for a node-local source")
        return self


TAB = {"tab": "\t", "\\t": "\t"}
"""Names for a tab, which is hard to write in YAML and shells."""


def _tab(separator: object) -> object:
    return TAB.get(separator, separator) if isinstance(separator, str) else separator


class RowSettings(Value):
    """How rows are read from a source, on the coordinator and on nodes."""

    text_column: str = Field(default="text", description="the column that holds the text")
    label_column: str | None = Field(default="label", description="null when there are no labels")
    separator: Annotated[str | None, OMIT_DEFAULT, BeforeValidator(_tab)] = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="between the cells of a CSV file, one character or tab; null: detected",
    )
    encoding: Annotated[str | None, OMIT_DEFAULT] = Field(
        default=None,
        description="of a text file, such as latin-1, cp1252 or utf-16-le; null: that of its byte order mark, or UTF-8",
    )
    bad_rows: Annotated[Literal["refuse", "skip"], OMIT_DEFAULT] = Field(
        default="refuse", description="skip: rows that cannot be used are left out and counted"
    )

    @field_validator("separator")
    @classmethod
    def _separates(cls, separator: str | None) -> str | None:
        if separator is not None and separator in '"\r\n':
            raise ValueError("a quote or a line break cannot separate cells")
        return separator

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str | None) -> str | None:
        try:
            if encoding is not None:
                "".encode(codecs.lookup(encoding).name)  # refuses bytes-to-bytes codecs
        except (LookupError, ValueError) as error:
            raise ValueError(
                f"{encoding!r} is not a known text encoding; known are utf-8, utf-16, latin-1, cp1252, shift_jis, "
                "gb18030 and the others of Python"
            ) from error
        return encoding


def _label(value: object) -> object:
    """Accept integers as labels, but refuse booleans, because YAML reads unquoted `yes` and `no` as booleans."""
    if isinstance(value, bool):
        raise ValueError("put it in quotes: YAML reads yes, no, on, off, true and false without quotes as truth values")
    return str(value) if isinstance(value, int) else value


class DatasetSpec(RowSettings):
    """The source of the rows, their columns, and how they are cut into shards."""

    source: str = Field(
        description="package:vader-sentiment, hub:ORG/NAME[:SPLIT], node-local:NAME, or the path of a "
        ".csv, .tsv, .json, .jsonl or .parquet file, of a folder of such files, or a glob such as data/*.parquet"
    )
    labels: list[Annotated[str, BeforeValidator(_label)]] = Field(
        default_factory=list, description="the closed set of labels, in class order"
    )
    shard_by: ShardRule
    holdout_fraction: float = Field(default=0.1, gt=0, lt=1, description="share of rows kept for evaluation")
    holdout_rows: Positive = Field(default=1000, description="largest number of rows kept for evaluation")
    holdout_source: str | None = Field(
        default=None, description="for a node-local source: where the coordinator's own rows for evaluation come from"
    )
    holdout_keep: RowPart | None = Field(
        default=None, description="only rows of holdout_source whose text falls into this part; null for all"
    )
    keyring: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?$",
        description="the coordinator's key ring that shards are sealed with; null: nodes and stores may read them",
    )

    @property
    def node_local(self) -> str | None:
        """The name under which nodes offer the data, if it is node-local; otherwise None."""
        kind, _, name = self.source.partition(":")
        return name if kind == "node-local" else None

    @model_validator(mode="after")
    def _stays_or_travels(self) -> Self:
        stays = self.node_local is not None
        if stays != (self.shard_by.nodes is not None) or stays != (self.holdout_source is not None):
            raise ValueError("a source node-local:NAME, and no other, needs shard_by.nodes and holdout_source")
        if not stays and self.holdout_keep is not None:
            raise ValueError("holdout_keep: only a node-local source has a holdout_source")
        if stays and self.keyring is not None:
            raise ValueError(
                "keyring: the data of a node-local source never leaves its node, so there is nothing to seal"
            )
        return self
