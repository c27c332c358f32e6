"""The whole `JobSpec` as typed config of the launchpad."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.launch.config_schema import Hints, config_value, model_config
from atlas.aggregation.compression.registry import CODECS
from atlas.aggregation.compression.settings import CompressionSpec
from atlas.aggregation.outer.registry import OPTIMIZERS
from atlas.aggregation.outer.settings import OuterSpec
from atlas.aggregation.robust.registry import RULES
from atlas.aggregation.robust.settings import RobustSpec
from atlas.aggregation.settings import AggregationSpec
from atlas.aggregation.strategies.registry import STRATEGIES
from atlas.errors import SpecError
from atlas.spec.dataset import ShardRule
from atlas.spec.job import JobSpec, LoraSpec, ModelSpec

HINTS = Hints(
    one_of=[ShardRule],
    names={
        (AggregationSpec, "strategy"): [*STRATEGIES],
        (RobustSpec, "rule"): ["auto", "none", *RULES],
        (OuterSpec, "optimizer"): ["none", *OPTIMIZERS],
        (CompressionSpec, "codec"): ["none", *CODECS],
    },
    filled_in=[(JobSpec, "lora"), (ModelSpec, "task"), (LoraSpec, "target_modules")],  # from the catalogue of models
)


def job_config() -> dg.Shape | dg.Selector:
    """The config type of an order: each field of `JobSpec`, in the same place."""
    return model_config(JobSpec, HINTS)


def order_from_config(config: Mapping[str, Any]) -> JobSpec:
    """The validated order of a config of the type `job_config`; raises `SpecError` that names each invalid field."""
    return JobSpec.from_mapping(dict(config))


def order_as_config(order: JobSpec) -> dict[str, Any]:
    """The config of an order, with every field. `order_from_config` gives the same order.

    Settings that the model's catalogue entry provides are left out, so that another model can be named in their place.
    """
    full: dict[str, Any] = config_value(order, HINTS)
    model, lora = dict(full["model"]), dict(full["lora"])
    del model["task"], lora["target_modules"]
    brief = {**full, "model": model, "lora": lora}
    try:
        return brief if order_from_config(brief) == order else full
    except SpecError:  # the catalogue does not have the model
        return full
