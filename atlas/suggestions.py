"""Suggestions ("Did you mean …?") for unknown names in a document."""

import difflib
import re
import types
import typing
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel

Model = type[BaseModel]


def suggest(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'fedavg'?` for the known name that is closest; empty when none is close."""
    close = difflib.get_close_matches(name, list(known), 1)
    return f" Did you mean {close[0]!r}?" if close else ""


def suggest_field(path: tuple[int | str, ...], model: Model) -> str:
    """` Did you mean training.steps?` for a field that the model does not have, from its dotted path.

    Prefers a field of the same parent, then a field with a similar name anywhere in the model.
    """
    *parents, name = [str(part) for part in path]
    siblings = _fields_at(parents, model)
    close = difflib.get_close_matches(name, siblings, 1)
    if close:
        return f" Did you mean {'.'.join([*parents, close[0]])}?"
    fields = {found.rsplit(".", 1)[-1]: found for found in reversed([*_all_fields(model)])}
    elsewhere = [fields[last] for last in difflib.get_close_matches(name, fields, 1, cutoff=0.8)]
    return f" Did you mean {elsewhere[0]}?" if elsewhere else ""


def suggest_value(value: object, expected: str) -> str:
    """Like `suggest`, with the names from pydantic's description of the expected values: `'fp32' or 'bf16'`."""
    return suggest(value, re.findall(r"'([^']*)'", expected)) if isinstance(value, str) else ""


def _fields_at(parents: list[str], model: Model) -> list[str]:
    found: list[Model] = [model]
    for part in parents:
        if part.isdecimal():
            continue  # a list index: `_models` already covers the list's items
        found = [inner for one in found if part in one.model_fields for inner in _models(_type(one, part))]
    return [name for one in found for name in one.model_fields]


def _all_fields(model: Model, prefix: str = "", inside: tuple[Model, ...] = ()) -> Iterator[str]:
    for name in model.model_fields:
        yield prefix + name
        for inner in _models(_type(model, name)):
            if inner not in inside:
                yield from _all_fields(inner, f"{prefix}{name}.", (*inside, model))


def _type(model: Model, field: str) -> Any:
    return model.model_fields[field].annotation


def _models(annotation: Any) -> Iterator[Model]:
    """The models in a type: itself, those of a union, and the items of a list or values of a mapping."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        if issubclass(annotation, BaseModel):
            yield annotation
        return
    for part in typing.get_args(annotation):
        yield from _models(part)
