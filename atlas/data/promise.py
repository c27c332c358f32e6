"""Check a dataset manifest against its rows: no held-out or reference row may also be in a shard."""

from collections.abc import Iterator

from atlas.content.store import ContentStore
from atlas.data.rows import text_key
from atlas.data.sources.json_values import decoder
from atlas.documents.manifests import DatasetManifest, ShardManifest
from atlas.errors import DataError


def count_leaked_rows(manifest: DatasetManifest, store: ContentStore) -> dict[str, int] | None:
    """Count held-out rows whose text is also in a shard, and reference rows whose text is in a shard or held out.

    Texts are compared in Unicode normal form C, by their 64-bit keys. None for sealed and node-local rows, which cannot
    be read here. Memory depends only on the number of held-out and reference rows. Raises `ContentError`, and
    `DataError` for malformed rows.
    """
    if any(piece.form != "rows" for piece in [*manifest.shards, manifest.holdout]):
        return None
    held_out = list(_keys(manifest.holdout, store))
    reference = list(_keys(manifest.reference, store)) if manifest.reference else []
    kept = {*held_out, *reference}
    trained = {key for shard in manifest.shards for key in _keys(shard, store) if key in kept}
    elsewhere = trained.union(held_out)
    return {
        "holdout": sum(key in trained for key in held_out),
        "reference": sum(key in elsewhere for key in reference),
    }


def _keys(piece: ShardManifest, store: ContentStore) -> Iterator[int]:
    with store.fetch(piece.cid).open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield text_key(decoder.decode(line.decode())["text"])
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DataError(
                    f"Row {number} of {piece.key} ({piece.cid}) is not a row of a shard: {error}."
                ) from error
