"""Diagnostics of a round's aggregation: influence and similarity of the updates, and the error of averaging."""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.algebra.gram import flat_gram
from atlas.aggregation.algebra.low_rank import effective_rank
from atlas.aggregation.algebra.module_spectra import ModuleSpectra, module_spectra
from atlas.aggregation.coefficients import coefficients_of, geometry_of
from atlas.aggregation.columns import reduce_columns
from atlas.aggregation.files.adapter_files import AdapterFile, write_adapter
from atlas.aggregation.inputs import RoundInputs
from atlas.aggregation.robust.linear_algebra import cosine_matrix
from atlas.aggregation.robust.registry import RULES
from atlas.aggregation.robust.rule import Geometry
from atlas.documents.round_diagnostics import CosineSpread, Influence, RoundDiagnostics
from atlas.ids import Cid

LARGEST_MATRIX = 32
"""The largest number of updates for which the cosine of every pair is listed."""
NEGLIGIBLE = 1e-9
"""Smaller ratios are rounding errors, which differ between machines."""


@dataclass(frozen=True)
class Alignment:
    """Inner products of a round's changes with each other and with their aggregate."""

    gram: NDArray[np.float64]
    towards: NDArray[np.float64]
    """(N,): the inner product of each change with the aggregate."""
    square: float
    """The squared norm of the aggregate."""
    coefficients: Sequence[float] | None
    """None for rules that work on single columns."""


def diagnose(inputs: RoundInputs, manifest: Cid, geometry: Geometry | None = None) -> RoundDiagnostics:
    """The diagnostics of a round whose manifest has this CID.

    `geometry` is that of the inputs; it is computed if it is needed and not given. Rules that work on single columns
    have no use for it: their aggregate is measured together with the updates.

    Numbers are rounded to six digits, which hides rounding differences between machines. Products are compared through
    their factors: no update's B·A is formed. Raises `AggregationError` when the files do not fit together.
    """
    alignment = _alignment(inputs, geometry)
    paths = [update.path for update in inputs.updates]
    spectra = module_spectra(inputs.base, paths, alignment.coefficients or _shares(inputs))
    ranks = {module: six_digits(effective_rank(one.exact)) for module, one in spectra.items()}
    cosines = cosine_matrix(alignment.gram)
    count = len(inputs.updates)
    return RoundDiagnostics(
        manifest=manifest,
        space="flat" if inputs.settings.method.flat else "product",
        norm=six_digits(_root(alignment.square)),
        residual=_ratio(_residual(list(spectra.values()))),
        effective_rank=six_digits(math.fsum(ranks.values()) / len(ranks)) if ranks else 0.0,
        effective_ranks=ranks,
        cosines=_spread(cosines) if count > 1 else None,
        cosine_matrix=[[_ratio(value) for value in row] for row in cosines] if count <= LARGEST_MATRIX else None,
        updates=_influences(inputs, alignment),
    )


def six_digits(value: float) -> float:
    """Six significant digits."""
    return float(f"{value:.6g}")


def _alignment(inputs: RoundInputs, geometry: Geometry | None) -> Alignment:
    if inputs.settings.by_columns:
        with tempfile.TemporaryDirectory() as folder:
            reduced = AdapterFile(reduce_columns(inputs, RULES[inputs.settings.robust.rule], Path(folder)))
            trained = Path(folder) / "trained.safetensors"
            names = AdapterFile(inputs.updates[0].path).tensors
            write_adapter(trained, {name: reduced.read(name) for name in names})
            whole = flat_gram(inputs.base, [update.path for update in inputs.updates], trained)
        return Alignment(whole[:-1, :-1], whole[:-1, -1], float(whole[-1, -1]), None)
    geometry = geometry or geometry_of(inputs)
    gram, coefficients = geometry.gram, coefficients_of(inputs, geometry)
    towards = np.array([math.fsum(row * coefficients) for row in gram])
    return Alignment(gram, towards, math.fsum(towards * coefficients), coefficients)


def _shares(inputs: RoundInputs) -> list[float]:
    total = sum(update.weight for update in inputs.updates)
    return [update.weight / total for update in inputs.updates]


def _residual(spectra: Sequence[ModuleSpectra]) -> float:
    """‖Σw(B-B̄)(A-Ā)‖ / ‖Σw·B·A‖ over all modules together; 0 when the aggregate is zero."""
    exact = math.fsum(float(np.square(one.exact).sum()) for one in spectra)
    lost = math.fsum(float(np.square(one.residual).sum()) for one in spectra)
    return math.sqrt(lost / exact) if exact > 0 else 0.0


def _influences(inputs: RoundInputs, alignment: Alignment) -> list[Influence]:
    norms, change = np.sqrt(np.diag(alignment.gram)), _root(alignment.square)
    pulls = None if alignment.coefficients is None else norms * alignment.coefficients
    total = 0.0 if pulls is None else math.fsum(pulls)
    return [
        Influence(
            shard=update.shard,
            norm=six_digits(norms[at]),
            coefficient=None if alignment.coefficients is None else _ratio(alignment.coefficients[at]),
            share=None if pulls is None else _ratio(pulls[at] / total) if total > 0 else 0.0,
            cosine=_cosine(alignment.towards[at], norms[at] * change),
        )
        for at, update in enumerate(inputs.updates)
    ]


def _spread(cosines: NDArray[np.float64]) -> CosineSpread:
    pairs = cosines[np.triu_indices(len(cosines), 1)]
    least, lower, median, upper, most = (_ratio(value) for value in np.quantile(pairs, [0, 0.25, 0.5, 0.75, 1]))
    return CosineSpread(minimum=least, lower_quartile=lower, median=median, upper_quartile=upper, maximum=most)


def _cosine(product: float, lengths: float) -> float:
    return _ratio(min(max(product / lengths, -1.0), 1.0)) if lengths > 0 else 0.0


def _root(square: float) -> float:
    return math.sqrt(max(square, 0.0))


def _ratio(value: float) -> float:
    """A ratio rounded to six digits; zero if it is only rounding error."""
    return 0.0 if abs(value) < NEGLIGIBLE else six_digits(value)
