"""Preparing a dataset: read, check, hold out, keep back, cut, and name every piece by its content."""

import tempfile
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Protocol

from atlas.content.store import ContentStore, put_document
from atlas.data.holdout import pick_holdout
from atlas.data.rows import encode_row
from atlas.data.shards import Shard, cut_shards
from atlas.data.sources.read import read_source
from atlas.data.spool import RowSpool
from atlas.dataset_spec import DatasetSpec
from atlas.errors import DataError
from atlas.manifests import DatasetManifest, ShardManifest

ROWS_PER_REPORT = 1000
REFERENCE_DRAW = 2**31
"""What the seed of the draw of reference rows is ahead of the dataset's: no job has a seed as large as this."""

Rows = Mapping[str, Sequence[int]]
"""The rows of each stratum, in source order."""


class Seal(Protocol):
    """Encrypts the rows of a shard, so that whoever has the bytes of the shard cannot read them."""

    def __call__(self, rows: IO[bytes], name: str, target: IO[bytes]) -> None:
        """Write `rows`, which may be read more than once, sealed to `target`; `name` is the shard's key."""


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

    With `reference_rows`, so many rows more are kept out of the shards, for the coordinator to train on itself. The
    result depends on the source's rows, the spec, the seed, this number and `seal` alone. With `seal` the rows are put
    sealed, and the manifest tells sizes, never content. Every row is checked before anything is put. Rows stay in
    source order; downloads and temporary files go to `cache`; `on_progress` hears how many rows were read. Raises
    `DataError` that names the bad row or setting, and `ContentError` when the store fails.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with RowSpool(cache, seed) as spool:
            _read(spec, cache, spool, on_progress or (lambda rows: None))
            held_out, rest = _hold_out(spec, spool)
            reference, rest = _keep_back(spec, spool, rest, seed, reference_rows)
            shards = cut_shards(spec.shard_by, rest, spool.size)
            put = partial(_put, spool=spool, store=store, cache=cache, seal=seal)
            manifest = DatasetManifest(
                source=spec.source,
                text_column=spec.text_column,
                label_column=spec.label_column,
                labels=spec.labels,
                shards=[put(f"s{index:03d}", shard) for index, shard in enumerate(shards)],
                holdout=put("holdout", held_out),
                reference=put("reference", reference) if reference.rows else None,
            )
    except OSError as error:
        raise DataError(
            f"Cannot prepare {spec.source} in {cache}: {error.strerror or error}. "
            "Check the folder's permissions and free space."
        ) from error
    put_document(store, manifest)
    return manifest


def prepare_holdout(
    spec: DatasetSpec,
    store: ContentStore,
    cache: Path,
    seed: int,
    on_progress: Callable[[int], None] | None = None,
    reference_rows: int = 0,
) -> tuple[ShardManifest, ShardManifest | None]:
    """Put the coordinator's own rows for a node-local dataset into the store: those held out, and the reference rows.

    They come from `spec.holdout_source`; a seeded hash decides which are held out, at most `spec.holdout_rows`, and
    which of the others are reference rows. Raises as `prepare_dataset` does.
    """
    source = spec.holdout_source or spec.source
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with RowSpool(cache, seed) as spool:
            _read(spec.model_copy(update={"source": source}), cache, spool, on_progress or (lambda rows: None))
            spare = len(spool) - reference_rows
            if spare < 1:
                raise DataError(
                    f"dataset.holdout_source {source} has {len(spool)} rows to evaluate on and as a reference; "
                    f"{1 + reference_rows} or more are needed. Give more rows"
                    + (", or lower aggregation.robust.reference_rows." if reference_rows else ".")
                )
            drawn = sorted(range(len(spool)), key=spool.strata[""].ranks.__getitem__)
            held_out = Shard(sorted(drawn[: min(spec.holdout_rows, spare)]))
            reference = Shard(sorted(drawn[len(held_out.rows) :][:reference_rows]))
            return (
                _put("holdout", held_out, spool, store, cache, None),
                _put("reference", reference, spool, store, cache, None) if reference.rows else None,
            )
    except OSError as error:
        raise DataError(
            f"Cannot prepare {source} in {cache}: {error.strerror or error}. Check the folder's permissions and free "
            "space."
        ) from error


def _read(spec: DatasetSpec, cache: Path, spool: RowSpool, on_progress: Callable[[int], None]) -> None:
    keep = spec.holdout_keep
    for number, row in enumerate(read_source(spec.source, cache), 1):
        encoded = encode_row(row, number, spec)
        if keep is None or keep.holds(str(row[spec.text_column])):
            spool.append(encoded)
        if number % ROWS_PER_REPORT == 0:
            on_progress(number)
    on_progress(len(spool))


def _hold_out(spec: DatasetSpec, spool: RowSpool) -> tuple[Shard, Rows]:
    """The held-out rows, as one shard, and the others of each stratum."""
    if len(spool) == len(spool.strata):
        raise DataError(
            f"{spec.source} has {len(spool)} rows"
            + (f", one for each value of the column {spec.shard_by.column!r}" if spec.shard_by.column and spool else "")
            + "; at least two are needed, one for training and one to hold out. Give more rows or another dataset."
        )
    wanted = max(1, min(spec.holdout_rows, round(spec.holdout_fraction * len(spool))))
    ranks = {value: stratum.ranks for value, stratum in spool.strata.items()}
    return _take({value: stratum.rows for value, stratum in spool.strata.items()}, ranks, wanted)


def _keep_back(spec: DatasetSpec, spool: RowSpool, rows: Rows, seed: int, wanted: int) -> tuple[Shard, Rows]:
    """The reference rows, as one shard, and the others of each stratum; drawn as the held-out rows, by other ranks."""
    if not wanted:
        return Shard([]), rows
    spare = sum(map(len, rows.values())) - len(rows)
    if spare < wanted:
        raise DataError(
            f"{spec.source} can spare {max(0, spare)} rows beside the held-out ones and one for each shard, but "
            f"aggregation.robust.reference_rows asks for {wanted}. Lower it, give more rows, or choose a robust rule "
            "that needs no reference."
        )
    ranks = {value: spool.ranks(some, seed + REFERENCE_DRAW) for value, some in rows.items()}
    return _take(rows, ranks, wanted)


def _take(rows: Rows, ranks: Mapping[str, Sequence[int]], wanted: int) -> tuple[Shard, Rows]:
    """The rows of the lowest ranks, as one shard in source order, and what is left of each stratum."""
    places = pick_holdout(ranks, wanted)
    taken = {some[place] for value, some in rows.items() for place in places[value]}
    left = {value: array("Q", (row for row in some if row not in taken)) for value, some in rows.items()}
    return Shard(sorted(taken)), left


def _put(
    key: str, shard: Shard, spool: RowSpool, store: ContentStore, cache: Path, seal: Seal | None = None
) -> ShardManifest:
    with tempfile.NamedTemporaryFile(dir=cache) as file:
        if seal is None:
            size = _write(shard, spool, file)
        else:
            with tempfile.TemporaryFile(dir=cache) as rows:  # without a name, so that no crash leaves them behind
                size = _write(shard, spool, rows)
                seal(rows, key, file)
        file.flush()
        cid = store.put(Path(file.name))
    sizes = ShardManifest(
        key=key,
        cid=cid,
        form="rows" if seal is None else "sealed",
        rows=len(shard.rows),
        bytes=size,
        tokens=sum(spool.tokens[row] for row in shard.rows),
    )
    if seal is not None:
        return sizes
    labels = Counter(label for row in shard.rows if (label := spool.labels[row]) is not None)
    return sizes.model_copy(update={"value": shard.value, "labels": dict(sorted(labels.items()))})


def _write(shard: Shard, spool: RowSpool, file: IO[bytes]) -> int:
    """Write the rows of a shard; their bytes."""
    spool.copy(shard.rows, file.write)
    return file.tell()
