"""A round's checkpoint, diagnostics and variants, from its manifest and one computation of the geometry."""

from functools import cached_property

from atlas.aggregation.coefficients import geometry_of, geometry_without
from atlas.aggregation.diagnostics import diagnose
from atlas.aggregation.robust.rule import Geometry
from atlas.content.store import ContentStore
from atlas.documents.manifests import Checkpoint, RoundManifest
from atlas.documents.round_diagnostics import RoundDiagnostics
from atlas.ids import Cid
from atlas.rounds.checkpoint import aggregate_round, plain_mean, round_inputs


class RoundAggregation:
    """Aggregates the updates of a manifest. The geometry is computed at most once.

    Files are fetched for each computation, so none is used that has changed since it was verified. Methods raise
    as `round_inputs` does, and `AggregationError` when the files do not fit together.
    """

    def __init__(self, manifest: RoundManifest, store: ContentStore) -> None:
        self.manifest = manifest
        self._store = store

    @cached_property
    def geometry(self) -> Geometry:
        """The inner products of the updates' changes."""
        return geometry_of(round_inputs(self.manifest, self._store))

    def aggregate(self) -> tuple[Cid, Checkpoint]:
        """The round's checkpoint and its CID; its files, the manifest and the checkpoint are in the store."""
        return aggregate_round(self.manifest, self._store, self._geometry_of_the_rule)

    def aggregate_without_each(self) -> dict[str, Cid]:
        """By shard, the CID of the checkpoint that the round would have without that shard's update; in the store."""
        found: dict[str, Cid] = {}
        inputs, shared = round_inputs(self.manifest, self._store), self._geometry_of_the_rule
        for place, update in enumerate(self.manifest.updates):
            geometry = None if shared is None else geometry_without(shared, inputs, place)
            found[update.shard], _ = aggregate_round(self.manifest.without(update.shard), self._store, geometry)
        return found

    def plain_mean(self) -> Cid | None:
        """The CID of the checkpoint without the job's robust rule, which is in the store; None if there is no rule."""
        mean = plain_mean(self.manifest, self._store)
        return None if mean is None else mean[0]

    def diagnose(self) -> RoundDiagnostics:
        """The diagnostics of the round; nothing is stored."""
        inputs = round_inputs(self.manifest, self._store)
        return diagnose(inputs, self.manifest.cid, None if inputs.settings.by_columns else self.geometry)

    @property
    def _geometry_of_the_rule(self) -> Geometry | None:
        """The geometry if the robust rule of the job uses it."""
        return self.geometry if round_inputs(self.manifest, self._store).settings.uses_geometry else None
