"""The diagnostics of a round's aggregation, as a document."""

from typing import Literal

from pydantic import Field

from atlas.documents.document import Document, Value
from atlas.documents.manifests import CidField


class Influence(Value):
    """The influence of one update in its round; lengths and angles are those of its change, update - base."""

    shard: str
    norm: float = Field(ge=0)
    coefficient: float | None = Field(description="factor of the change; null for rules by column")
    share: float | None = Field(description="coefficient x norm, as a share of the sum over the round")
    cosine: float = Field(ge=-1, le=1, description="with the round's change")


class CosineSpread(Value):
    """The distribution of the pairwise cosines of a round's changes."""

    minimum: float
    lower_quartile: float
    median: float
    upper_quartile: float
    maximum: float


class RoundDiagnostics(Document):
    """The diagnostics of a round's aggregation, before the outer optimizer; rounded to six digits.

    Anyone can recompute it from the round's manifest.
    """

    kind: Literal["diagnostics"] = "diagnostics"
    manifest: CidField
    space: Literal["flat", "product"] = Field(
        description="where changes are measured: as the adapter's numbers, or as the products B·A that they stand for"
    )
    norm: float = Field(ge=0, description="length of the round's change")
    residual: float = Field(
        ge=0, description="how far averaging A and B separately is from averaging B·A: ‖Σw(B-B̄)(A-Ā)‖ / ‖Σw·B·A‖"
    )
    effective_rank: float = Field(ge=0, description="of Σw·B·A, the mean over the modules")
    effective_ranks: dict[str, float] = Field(description="by module: exp of the entropy of σ²/Σσ²")
    cosines: CosineSpread | None = Field(description="between the changes of two updates; null for a single update")
    cosine_matrix: list[list[float]] | None = Field(description="in shard order; null above 32 updates")
    updates: list[Influence] = Field(min_length=1, description="in shard order")
