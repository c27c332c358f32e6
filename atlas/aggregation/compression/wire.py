"""Updates on the wire: the change against the base, encoded by the job's codec.

The node, the coordinator and every verifier use the decoded update, so all have the same bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.compression.changes import Changes, part_of, shapes_of
from atlas.aggregation.compression.codec import Codec, PartReader, Parts
from atlas.aggregation.compression.layout import Shapes, UpdateLayout
from atlas.aggregation.compression.parts_file import read_parts, write_parts
from atlas.aggregation.compression.registry import CODECS
from atlas.aggregation.compression.settings import CompressionSpec
from atlas.aggregation.files.adapter_files import AdapterFile, new_adapter
from atlas.errors import AggregationError


@dataclass(frozen=True)
class Encoded:
    """The files of an encoded update."""

    file: Path
    """The file to send."""
    decoded: Path
    """The decoded update, which is hashed, signed and aggregated."""
    residual: Path | None
    """The unsent rest, for the next update of the same shard; None for codecs without error feedback."""


def encode_update(update: Path, base: Path, spec: CompressionSpec, residual: Path | None, folder: Path) -> Encoded:
    """Encode an update into `folder`, as encoded.safetensors, decoded.safetensors and residual.safetensors.

    The update may lack one factor, and may have a lower rank than the base; it then started from the base's first rows
    or columns. `residual` is the unsent rest of the same shard's previous update; codecs without error feedback ignore
    it. Raises `AggregationError` when the files do not fit together or the codec cannot encode a change.
    """
    codec = _codec(spec)
    changes = Changes(AdapterFile(update), AdapterFile(base), residual if codec.error_feedback else None)
    encoded = Encoded(
        file=folder / "encoded.safetensors",
        decoded=folder / "decoded.safetensors",
        residual=folder / "residual.safetensors" if codec.error_feedback else None,
    )
    parts = _join(_encode(codec, changes, name, spec) for name in changes.names)
    write_parts(encoded.file, parts, f"codec={codec.name} {changes.layout}")
    decode_update(encoded.file, base, spec, encoded.decoded)
    if encoded.residual:
        changes.write_rest(AdapterFile(encoded.decoded), encoded.residual)
    return encoded


def decode_update(encoded: Path, base: Path, spec: CompressionSpec, out: Path) -> None:
    """Decode an update and write it: base + change, in float32.

    The file comes from an untrusted node. Raises `AggregationError` unless it has the form that `encode_update` writes
    for this base and spec. The gates check that its rank and factors are those of the round.
    """
    codec, old = _codec(spec), AdapterFile(base)
    parts, heading = read_parts(encoded, codec, _most(codec, shapes_of(old), spec))
    name, _, layout = heading.partition(" ")
    if name != f"codec={codec.name}":
        raise AggregationError(f"The encoded update {encoded.name} must say codec={codec.name}, found {name[:80]!r}.")
    shapes = UpdateLayout.parse(layout).shapes(shapes_of(old))
    reader = PartReader(parts)
    with new_adapter(out, shapes) as new:
        for tensor, shape in shapes.items():
            new.columns([tensor]).write(0, _decode(codec, reader, tensor, part_of(old, tensor, shape), spec))
        if reader.left():
            raise AggregationError(
                f"The encoded update {encoded.name} has numbers that no tensor takes: {reader.left()}."
            )


def _codec(spec: CompressionSpec) -> Codec:
    if spec.codec not in CODECS:
        raise AggregationError(f"Updates are encoded with one of {', '.join(CODECS)}; the job says {spec.codec!r}.")
    return CODECS[spec.codec]


def _encode(codec: Codec, changes: Changes, name: str, spec: CompressionSpec) -> Parts:
    try:
        return codec.encode(changes.of(name), spec)
    except AggregationError as error:
        raise AggregationError(f"The update's {name} cannot be encoded: {error}") from error


def _join(encoded: Iterable[Parts]) -> Parts:
    tensors = list(encoded)
    return {part: np.concatenate([tensor[part] for tensor in tensors]) for part in sorted(tensors[0])}


def _decode(
    codec: Codec, reader: PartReader, name: str, start: NDArray[np.float32], spec: CompressionSpec
) -> NDArray[np.float32]:
    reader.tensor = name
    with np.errstate(over="ignore", invalid="ignore"):
        new: NDArray[np.float32] = start.reshape(-1) + codec.decode(reader, start.size, spec)
    if not np.isfinite(new).all():
        raise reader.error("it exceeds float32")
    return new


def _most(codec: Codec, shapes: Shapes, spec: CompressionSpec) -> dict[str, int]:
    limits = [codec.most(int(np.prod(shape, dtype=np.int64)), spec) for shape in shapes.values()]
    return {part: sum(limit[part] for limit in limits) for part in codec.parts}
