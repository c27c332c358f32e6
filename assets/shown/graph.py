"""What the asset graph shows of an asset beside its description: its maker, its use of the chain, its source line."""

import inspect
import warnings
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dagster as dg

COORDINATOR = ["team:coordinator"]
"""Owner of the assets that this machine makes."""
NODES = ["team:nodes"]
"""Owner of the assets that a node makes and signs."""
CHAIN_WRITTEN, CHAIN_READ, CHAIN_UNUSED = {"chain": "written"}, {"chain": "read"}, {"chain": "unused"}
"""Tags: whether making the asset sends transactions."""
MONTHLY = dg.FreshnessPolicy.time_window(warn_window=timedelta(days=30), fail_window=timedelta(days=90))
"""Freshness of an asset of which some job should make a partition each month."""


def with_source(asset: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The asset with a reference to its function, to which its page links."""
    compute: Any = asset.op.compute_fn
    metadata = source_metadata(compute.decorated_fn)
    return asset.map_asset_specs(lambda spec: spec.merge_attributes(metadata=metadata))


def source_metadata(function: Callable[..., Any]) -> dict[str, Any]:
    """Metadata of an asset: the file and the line where a function, without its decorators, is defined."""
    code = inspect.unwrap(function).__code__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        reference = dg.LocalFileCodeReference(file_path=code.co_filename, line_number=code.co_firstlineno)
        return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[reference])}
