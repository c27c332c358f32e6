"""Warnings about datasets that are likely to train a poor model, with the numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence

from atlas.counts import counted
from atlas.documents.manifests import DatasetManifest

FEW_ROWS = 100
FEW_HELD_OUT = 10


def dataset_warnings(manifest: DatasetManifest) -> list[str]:
    """The warnings about a prepared dataset; the labels of sealed shards are unknown."""
    labels: Counter[str] = Counter()
    for piece in [*manifest.shards, manifest.holdout]:
        labels.update(piece.labels)
    sealed = any(shard.form != "rows" for shard in manifest.shards)
    return warnings_of(
        rows=sum(shard.rows for shard in manifest.shards),
        held_out=manifest.holdout.rows,
        repeated=manifest.repeated_rows,
        skipped=manifest.skipped_rows,
        labels={} if sealed else labels,
        expected=[] if sealed else manifest.labels,
    )


def warnings_of(
    rows: int, held_out: int, repeated: int, skipped: int, labels: Mapping[str, int], expected: Sequence[str]
) -> list[str]:
    """The warnings for these numbers of rows: to train on, held out, with repeated text, skipped as bad, by label.

    `expected` are the labels that the job lists.
    """
    found = []
    if rows < FEW_ROWS:
        found.append(f"The training data has {counted(rows, 'row')}; a model learns little from fewer than {FEW_ROWS}.")
    if held_out < FEW_HELD_OUT:
        found.append(
            f"The held-out data has only {counted(held_out, 'row')}; metrics on fewer than {FEW_HELD_OUT} are "
            "unreliable."
        )
    if 2 * repeated >= rows + held_out:
        found.append(f"{repeated} of {rows + held_out} rows repeat the text of another row.")
    if skipped:
        found.append(f"Skipped {counted(skipped, 'row')} that could not be used (bad_rows: skip).")
    if len(labels) == 1 and expected:
        found.append(
            f"Every row has the label {next(iter(labels))!r} ({counted(sum(labels.values()), 'row')}): there is "
            "nothing to classify."
        )
    elif missing := [label for label in expected if label not in labels]:
        found.append(f"No row has the label {', '.join(map(repr, missing))}." if labels else "")
    return [warning for warning in found if warning]
