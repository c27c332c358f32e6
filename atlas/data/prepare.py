"""Prepare a dataset: read and check rows, draw held-out and reference rows, cut shards, and store every piece."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from atlas.content.store import ContentStore
from atlas.data.cut.layout import FIRST_SHARD, HOLDOUT, REFERENCE, Piece, PieceLayout, lay_out
from atlas.data.cut.shards import MOST_SHARDS, check_shard_count
from atlas.data.cut.split import hold_out, hold_out_all, keep_back, keys_of
from atlas.data.cut.spool import RowSpool
from atlas.data.cut.texts import count_texts
from atlas.data.reading import RowReader
from atlas.documents.manifests import DatasetManifest, ShardManifest
from atlas.documents.stored import put_document
from atlas.errors import DataError
from atlas.spec.dataset import DatasetSpec, ShardRule

FIRST_ROWS = 20_000
"""Rows that `check_first_rows` reads by default: a second or less."""
MOST_LABELS = 10_000
"""The limit on different labels: more are hardly classes, and each takes memory."""


class Seal(Protocol):
    """Encrypts the rows of a shard, so that its bytes are unreadable without the key."""

    def __call__(self, rows: IO[bytes], name: str, target: IO[bytes]) -> None:
        """Write `rows` sealed to `target`; `rows` is seekable, and `name` is the shard's key in the dataset."""


class OwnRows(NamedTuple):
    """The coordinator's own rows for a dataset that stays on its nodes."""

    holdout: ShardManifest
    reference: ShardManifest | None
    skipped_rows: int


def prepare_dataset(
    spec: DatasetSpec,
    store: ContentStore,
    cache: Path,
    seed: int,
    on_progress: Callable[[int], None] | None = None,
    reference_rows: int = 0,
    seal: Seal | None = None,
) -> DatasetManifest:
    """Cut a dataset into shards and held-out rows and put them, and their manifest, into the store.

    `reference_rows` further rows are kept out of the shards, for the coordinator to train on. Rows of equal texts (in
    Unicode normal form C) are all held out, all reference rows, or all in shards. The result depends only on the
    source's rows, the spec, the seed, `reference_rows` and `seal`. With `seal`, the store gets only encrypted rows,
    and the manifest has sizes but no content. Every row is checked before anything is stored. Rows stay in source
    order. Downloads and temporary files (about 100 bytes a row in addition to the rows) go to `cache`, so that memory
    does not depend on the number of rows. `on_progress` gets the number of rows read. Raises `DataError` that names
    the bad rows or setting, and `ContentError` when the store fails.
    """
    reader = RowReader(spec.source, spec)
    with _spooled(spec.source, cache, seed) as spool:
        _read(reader, cache, spool, spec.shard_by, on_progress)
        layout = _cut(spec, spool, seed, reference_rows)
        values: list[str | None] = [None] * layout.shards if spec.shard_by.column is None else [*sorted(spool.strata)]
        put = _Putter(layout, spool, store, cache, seal)
        manifest = DatasetManifest(
            source=spec.source,
            text_column=spec.text_column,
            label_column=spec.label_column,
            labels=spec.labels,
            shards=[put(shard_key(index), FIRST_SHARD + index, value) for index, value in enumerate(values)],
            holdout=put("holdout", HOLDOUT),
            reference=put("reference", REFERENCE) if layout.rows_of(REFERENCE) else None,
            skipped_rows=reader.bad.count,
            repeated_rows=0 if seal else len(spool) - count_texts(lambda: keys_of(spool), len(spool)),
        )
    put_document(store, manifest)
    return manifest


def prepare_holdout(
    spec: DatasetSpec,
    store: ContentStore,
    cache: Path,
    seed: int,
    on_progress: Callable[[int], None] | None = None,
    reference_rows: int = 0,
) -> OwnRows:
    """Put the coordinator's own rows for a node-local dataset, held-out and reference rows, into the store.

    They come from `spec.holdout_source`. A seeded hash selects the held-out rows, at most `spec.holdout_rows`, and the
    reference rows from the others. Rows of equal texts stay together. Raises as `prepare_dataset` does.
    """
    source = spec.holdout_source or spec.source
    reader = RowReader(source, spec, keep=spec.holdout_keep)
    with _spooled(source, cache, seed) as spool:
        _read(reader, cache, spool, spec.shard_by, on_progress)
        held_out, reference = hold_out_all(source, spool, spec.holdout_rows, reference_rows)
        layout = lay_out(spool, held_out, reference, ShardRule(bytes=2**52))
        put = _Putter(layout, spool, store, cache, None)
        return OwnRows(
            holdout=put("holdout", HOLDOUT),
            reference=put("reference", REFERENCE) if len(reference) else None,
            skipped_rows=reader.bad.count,
        )


def check_first_rows(
    spec: DatasetSpec, cache: Path, seed: int, reference_rows: int = 0, most: int = FIRST_ROWS
) -> list[str] | None:
    """Check the first `most` rows of a source, or all if there are fewer; nothing is stored.

    For node-local data, these are the coordinator's own rows. Returns the keys of the shards if the whole source was
    read and is not node-local, else None. Raises the `DataError` that `prepare_dataset` or `prepare_holdout` would
    raise for these rows.
    """
    own = spec.node_local is not None
    source = (spec.holdout_source if own else None) or spec.source
    reader = RowReader(source, spec, keep=spec.holdout_keep if own else None)
    with _spooled(source, cache, seed) as spool:
        _read(reader, cache, spool, spec.shard_by, None, most)
        if reader.cut:
            return None
        if own:
            hold_out_all(source, spool, spec.holdout_rows, reference_rows)
            return None
        return [shard_key(index) for index in range(_cut(spec, spool, seed, reference_rows).shards)]


def shard_key(index: int) -> str:
    """The key of a dataset's shard by its number, from 0."""
    return f"s{index:03d}"


def _cut(spec: DatasetSpec, spool: RowSpool, seed: int, reference_rows: int) -> PieceLayout:
    held_out = hold_out(spec, spool)
    reference = keep_back(spec, spool, held_out, seed, reference_rows)
    return lay_out(spool, held_out, reference, spec.shard_by)


@contextmanager
def _spooled(source: str, cache: Path, seed: int) -> Iterator[RowSpool]:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with RowSpool(cache, seed) as spool:
            yield spool
    except OSError as error:
        raise DataError(
            f"Cannot prepare {source} in {cache}: {error.strerror or error}. "
            "Check the folder's permissions and free space."
        ) from error


def _read(
    reader: RowReader,
    cache: Path,
    spool: RowSpool,
    rule: ShardRule,
    on_progress: Callable[[int], None] | None,
    most: int | None = None,
) -> None:
    report = on_progress or (lambda rows: None)
    for row in reader.rows(cache, report, most):
        spool.append(row)
        if len(spool.sizes) > MOST_SHARDS:
            check_shard_count(rule, len(spool.sizes), or_more=True)
        if spool.label_count > MOST_LABELS:
            raise DataError(
                f"There are more than {MOST_LABELS} different labels, such as {row.label!r:.80}. Set "
                "dataset.label_column to a column of classes, or to null for data without labels."
            )
    report(len(spool))


class _Putter:
    """Puts the pieces of a layout into the store."""

    def __init__(
        self, layout: PieceLayout, spool: RowSpool, store: ContentStore, cache: Path, seal: Seal | None
    ) -> None:
        self._layout, self._spool, self._store, self._cache, self._seal = layout, spool, store, cache, seal

    def __call__(self, key: str, piece: int, value: str | None = None) -> ShardManifest:
        """Put one piece into the store and return its manifest entry."""
        with tempfile.NamedTemporaryFile(dir=self._cache) as file:
            if self._seal is None:
                written = self._layout.write(piece, file.write)
            else:
                with tempfile.TemporaryFile(dir=self._cache) as rows:  # unnamed, so that a crash leaves no plaintext
                    written = self._layout.write(piece, rows.write)
                    self._seal(rows, key, file)
            file.flush()
            cid = self._store.put(Path(file.name))
        sealed = self._seal is not None
        return ShardManifest(
            key=key,
            cid=cid,
            form="sealed" if sealed else "rows",
            rows=written.rows,
            bytes=written.bytes,
            tokens=written.tokens,
            value=None if sealed else value,
            labels={} if sealed else self._labels(written),
        )

    def _labels(self, piece: Piece) -> dict[str, int]:
        counted = zip(self._spool.labels, piece.labels.tolist(), strict=True)
        return dict(sorted((label, rows) for label, rows in counted if label is not None and rows))
