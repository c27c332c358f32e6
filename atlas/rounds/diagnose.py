"""Diagnostics of a round from its manifest."""

from atlas.aggregation.diagnostics import diagnose
from atlas.content.store import ContentStore
from atlas.documents.manifests import RoundManifest
from atlas.documents.round_diagnostics import RoundDiagnostics
from atlas.rounds.checkpoint import round_inputs


def diagnose_round(manifest: RoundManifest, store: ContentStore) -> RoundDiagnostics:
    """Compute a round's diagnostics from its manifest; raises as `round_inputs` does."""
    return diagnose(round_inputs(manifest, store), manifest.cid)
