"""A Dagster config schema from a pydantic model: every field with its description, default and choices. Pure."""

import inspect
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import dagster as dg
from pydantic import BaseModel
from pydantic.fields import FieldInfo

FieldOf = tuple[type[BaseModel], str]
"""A field: its model and its name."""
SCALARS = (str, int, float, bool)


@dataclass(frozen=True)
class Hints:
    """The rules of models that their types do not contain, because validators hold them."""

    one_of: Collection[type[BaseModel]] = ()
    """Models of which exactly one field is set; they become selectors."""
    names: Mapping[FieldOf, Collection[str]] = field(default_factory=dict)
    """Fields of type `str` that accept these values only."""
    filled_in: Collection[FieldOf] = ()
    """Required fields that may be left out of a raw document, because reading it adds them."""


def model_config(model: type[BaseModel], hints: Hints) -> dg.Shape | dg.Selector:
    """The config type of a model. Nested models become nested shapes, or selectors if `hints` lists them.

    Raises `TypeError` for a field whose type has no form in Dagster's config.
    """
    fields = {name: _field(model, name, info, hints) for name, info in model.model_fields.items()}
    kind = dg.Selector if model in hints.one_of else dg.Shape
    return kind(fields)


def config_value(value: Any, hints: Hints) -> Any:
    """A value of a model's field, or a model, as it is written in the model's config: every field, with its default.

    `filled_in` fields are written as well. Of a selector only the field that is set is written.
    """
    if isinstance(value, BaseModel):
        items = {name: config_value(getattr(value, name), hints) for name in type(value).model_fields}
        return {name: item for name, item in items.items() if type(value) not in hints.one_of or item is not None}
    if isinstance(value, Mapping):
        return {key: config_value(item, hints) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [config_value(item, hints) for item in value]
    return value


def _field(model: type[BaseModel], name: str, info: FieldInfo, hints: Hints) -> dg.Field:
    config = _config((model, name), info.annotation, hints)
    text = info.description or _text(info.annotation)
    if model in hints.one_of or (model, name) in hints.filled_in:
        return dg.Field(config, is_required=False, description=text)
    if info.is_required():
        return dg.Field(config, is_required=True, description=text)
    default = config_value(info.get_default(call_default_factory=True), hints)
    return dg.Field(config, default_value=default, description=text)


def _text(annotation: Any) -> str | None:
    """The docstring of a nested model in one line."""
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return None
    return " ".join((inspect.getdoc(annotation) or "").split())


def _config(of: FieldOf, annotation: Any, hints: Hints) -> Any:
    """The config type of a field's annotation."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    model, name = of
    if of in hints.names or origin is Literal:
        names = hints.names.get(of, arguments)
        return dg.Enum(f"{model.__name__}_{name}", [dg.EnumValue(one) for one in names])
    if origin is Annotated:
        return _config(of, arguments[0], hints)
    if origin in (Union, UnionType):
        return _optional(of, annotation, hints)
    if origin is list:
        return dg.Array(_config(of, arguments[0], hints))
    if origin is dict and arguments[0] is str:
        return dg.Map(str, _config(of, arguments[1], hints))  # type: ignore[no-untyped-call]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return model_config(annotation, hints)
    if annotation in SCALARS:
        return annotation
    raise TypeError(f"{model.__name__}.{name} has type {annotation!r}, which has no form in Dagster's config.")


def _optional(of: FieldOf, annotation: Any, hints: Hints) -> Any:
    """`T | None`. In a selector the name of the chosen field is enough, so None is left out."""
    model, name = of
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
    if len(kinds) != 1:
        raise TypeError(
            f"{model.__name__}.{name} is a union of {len(kinds)} types, which has no form in Dagster's config. "
            "Make it a model with one field per choice, and list that model in one_of."
        )
    config = _config(of, kinds[0], hints)
    return config if model in hints.one_of else dg.Noneable(config)
