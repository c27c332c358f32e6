"""The typed config of the launchpad, compared with `JobSpec` field by field."""

import types
import typing
from typing import Annotated, Literal

import dagster as dg
import pytest
from dagster._config import ConfigTypeKind
from pydantic import BaseModel, Field

from assets.launch.config_schema import Hints, config_value, model_config
from assets.launch.job_config import HINTS, job_config, order_as_config, order_from_config
from atlas.aggregation.robust.registry import RULES
from atlas.errors import SpecError
from atlas.spec.dataset import ShardRule
from atlas.spec.job import JobSpec, LoraSpec, ModelSpec
from tests.support.paths import REPOSITORY

EXAMPLES = [REPOSITORY / "examples" / name for name in ("sentiment.yaml", "hospitals.yaml")]
SMALLEST = {
    "name": "mine",
    "model": {"source": "package:minilm"},
    "dataset": {"source": "rows.csv", "labels": ["no", "yes"], "shard_by": {"rows": 10}},
    "payment": {"budget": 1_000_000, "reward_per_task": 1},
}


@dg.op(config_schema=job_config())
def read(context):
    """Has the config of an order."""


@dg.job
def reading():
    read()


def processed(order: dict) -> dict:
    """The config of an order as an op receives it, with Dagster's defaults."""
    return dg.validate_run_config(reading, {"ops": {"read": {"config": order}}})["ops"]["read"]["config"]


def without_none(annotation):
    """The type inside `T | None` and `Annotated[T, …]`, and whether None is allowed."""
    optional = False
    while typing.get_origin(annotation) in (Annotated, typing.Union, types.UnionType):
        inner = [one for one in typing.get_args(annotation) if one is not types.NoneType]
        optional |= types.NoneType in typing.get_args(annotation)
        annotation = inner[0]
    return annotation, optional


def pairs(model, shape, path=""):
    """Every field of a model and of those in it: its path, its model, pydantic's field and Dagster's."""
    assert list(shape.fields) == list(model.model_fields) or set(shape.fields) == set(model.model_fields), path
    for name, info in model.model_fields.items():
        yield f"{path}{name}", model, info, shape.fields[name]
        kind, optional = without_none(info.annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            inner = shape.fields[name].config_type
            yield from pairs(kind, inner.inner_type if optional else inner, f"{path}{name}.")


ALL = {path: rest for path, *rest in pairs(JobSpec, job_config())}
SCALARS = {str: "String", int: "Int", float: "Float", bool: "Bool"}


def test_the_comparison_reaches_every_depth():
    assert {"name", "dataset.shard_by.rows", "dataset.holdout_keep.of", "aggregation.outer.momentum"} <= set(ALL)


@pytest.mark.parametrize("path", ALL)
def test_each_field_has_the_description_type_and_default_of_the_spec(path):
    model, info, field = ALL[path]
    assert field.description == info.description or (info.description is None and field.description)
    kind, optional = without_none(info.annotation)
    config = field.config_type
    in_selector = model is ShardRule
    assert (config.kind == ConfigTypeKind.NONEABLE) == (optional and not in_selector)
    config = config.inner_type if config.kind == ConfigTypeKind.NONEABLE else config
    if typing.get_origin(kind) is Literal:
        assert {one.config_value for one in config.enum_values} == set(typing.get_args(kind))
    elif typing.get_origin(kind) is list:
        assert (config.kind, config.inner_type.given_name) == (ConfigTypeKind.ARRAY, "String")
    elif typing.get_origin(kind) is dict:
        assert (config.kind, config.inner_type.given_name) == (ConfigTypeKind.MAP, "Int")
    elif kind in SCALARS:
        assert config.kind == ConfigTypeKind.ENUM or config.given_name == SCALARS[kind]
    else:
        assert config.kind == (ConfigTypeKind.SELECTOR if kind is ShardRule else ConfigTypeKind.STRICT_SHAPE)
    supplied = in_selector or path in ("lora", "model.task", "lora.target_modules")
    assert field.is_required == (info.is_required() and not supplied)
    if not info.is_required() and not in_selector:
        assert field.default_value == config_value(info.get_default(call_default_factory=True), HINTS)


@pytest.mark.parametrize(
    ("path", "some"),
    [
        ("aggregation.strategy", {"fedavg", "qr-svd"}),
        ("aggregation.robust.rule", {"auto", "none", *RULES}),
        ("aggregation.outer.optimizer", {"none", "adam"}),
        ("aggregation.compression.codec", {"none", "top-k"}),
    ],
)
def test_a_field_that_takes_names_offers_them(path, some):
    config = ALL[path][2].config_type
    assert config.kind == ConfigTypeKind.ENUM
    assert some <= {one.config_value for one in config.enum_values}


def test_a_model_of_choices_is_a_selector():
    choices = {model for model, *_ in ALL.values() if all(one.default is None for one in model.model_fields.values())}
    assert choices == {ShardRule} == set(HINTS.one_of)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_the_same_order_through_the_launchpad(path):
    order = JobSpec.load(path)
    config = order_as_config(order)
    assert order_from_config(processed(config)).cid == order.cid
    assert "target_modules" not in config["lora"], "another model may be named in its place"


def test_settings_that_the_catalogue_would_not_give_are_kept():
    raw = {**SMALLEST, "lora": {"target_modules": ["query"]}, "model": {**SMALLEST["model"], "task": "causal-lm"}}
    other = {**SMALLEST["model"], "source": "hub:a/b", "task": "sequence-classification"}
    for order in (JobSpec.from_mapping(raw), JobSpec.from_mapping({**raw, "model": other})):
        assert order_from_config(processed(order_as_config(order))) == order


def test_what_is_left_out_has_the_default_of_the_spec():
    assert order_from_config(processed(SMALLEST)) == JobSpec.from_mapping(SMALLEST)


@pytest.mark.parametrize(
    "change",
    [
        {"training": {"stepz": 1}},
        {"training": {"schedule": "sometimes"}},
        {"aggregation": {"robust": {"rule": "trust"}}},
        {"dataset": {**SMALLEST["dataset"], "shard_by": {"rows": 10, "column": "domain"}}},
        {"rounds": "three"},
        {"payment": {"budget": 1}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_launchpad_refuses_what_does_not_fit_the_types(change):
    with pytest.raises(dg.DagsterInvalidConfigError):
        processed({**SMALLEST, **change})


@pytest.mark.parametrize(
    "change",
    [{"rounds": 0}, {"name": "Mine"}, {"training": {"steps": 0}}, {"lora": {"rank": 2, "shard_ranks": {"s0": 4}}}],
)
def test_other_errors_are_those_of_a_spec_file(change):
    raw = {**SMALLEST, **change}
    with pytest.raises(SpecError) as expected:
        JobSpec.from_mapping(raw)
    with pytest.raises(SpecError) as found:
        order_from_config(processed(raw))
    told, meant = (str(error.value).partition(" (found {")[0] for error in (found, expected))
    assert told == meant


class Inner(BaseModel):
    """The inner
    part."""

    amount: float = Field(default=0.5, description="how much")


class Outer(BaseModel):
    """A model that is not of this project."""

    kind: Literal["a", "b"] = Field(default="a", description="which")
    inner: Inner = Inner()
    maybe: Inner | None = None
    sizes: dict[str, int] = Field(default_factory=dict)


def test_a_new_field_of_a_model_appears_by_itself():
    shape = model_config(Outer, Hints())
    assert set(shape.fields) == {"kind", "inner", "maybe", "sizes"}
    assert shape.fields["inner"].description == "The inner part."
    assert shape.fields["inner"].default_value == {"amount": 0.5}
    assert (shape.fields["maybe"].default_value, shape.fields["sizes"].default_value) == (None, {})


@pytest.mark.parametrize("annotation", [int | str, tuple[int, int], dict[int, int], bytes])
def test_a_type_without_a_form_in_config_is_named(annotation):
    model = type("Odd", (BaseModel,), {"__annotations__": {"odd": annotation}})
    with pytest.raises(TypeError, match=r"Odd\.odd"):
        model_config(model, Hints())


def test_the_catalogue_fills_in_what_is_required_of_a_spec():
    assert all(model.model_fields[name].is_required() for model, name in HINTS.filled_in)
    assert {(ModelSpec, "task"), (LoraSpec, "target_modules")} < set(HINTS.filled_in)
