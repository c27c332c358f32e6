"""The public names of `atlas`: signatures as the source has them, docstrings, and the fields of documents."""

import ast
import inspect
import sys
import textwrap
from itertools import pairwise
from typing import Any, NewType

from pydantic import BaseModel

import atlas
from scripts.reference.schemas import fields_table


def python_page() -> str:
    """One section per name of `atlas.__all__`: classes first, then functions."""
    intro = (
        "The public names of the package `atlas`. [Use it from Python](../python.md) has an example of each. Errors "
        "are subclasses of `AtlasError` in `atlas.errors`."
    )
    return "\n\n".join(["# Python", intro, *(_section(name) for name in atlas.__all__)]) + "\n"


def _section(name: str) -> str:
    found = getattr(atlas, name)
    parts = [f"## `{name}`", inspect.cleandoc(found.__doc__ or "")]
    if found is atlas.JobSpec:
        parts.append("Its fields are those of the [job spec](job.md).")
    elif inspect.isclass(found) and issubclass(found, BaseModel):
        schema = found.model_json_schema()
        parts.append(fields_table(schema, schema.get("$defs", {})))
    elif inspect.isclass(found):
        parts[1:1] = _fields(found)
        parts += [_function(member) for key, member in vars(found).items() if _public_method(key, member)]
    elif isinstance(found, NewType):
        parts = [parts[0], _new_type(found)]
    else:
        parts = [parts[0], _function(found)]
    return "\n\n".join(part.strip() for part in parts)


def _public_method(name: str, member: Any) -> bool:
    return inspect.isfunction(member) and not name.startswith("_")


def _function(found: Any) -> str:
    lines, definition = _source(found)
    signature = "\n".join(lines[definition.lineno - 1 : definition.body[0].lineno - 1])
    return f"{_code(signature.removesuffix(':'))}\n\n{inspect.cleandoc(found.__doc__ or '')}"


def _new_type(found: NewType) -> str:
    """Its definition, and the docstring below it, which is not kept at run time."""
    source = inspect.getsource(sys.modules[found.__module__])
    pairs: Any = pairwise(ast.parse(source).body)
    start = f"{found.__name__} = NewType("
    definition, said = next(pair for pair in pairs if ast.unparse(pair[0]).startswith(start))
    return f"{_code(ast.get_source_segment(source, definition))}\n\n{ast.literal_eval(said.value)}"


def _fields(found: type) -> list[str]:
    """The attributes of a data class, as written, each with its docstring as a comment; empty if there are none."""
    lines, definition = _source(found)
    fields = []
    for node, following in zip(definition.body, [*definition.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign):
            said = isinstance(following, ast.Expr) and ast.literal_eval(following.value)
            fields.append(lines[node.lineno - 1].strip() + (f"  # {said}" if said else ""))
    return [_code("\n".join(fields))] if fields else []


def _source(found: Any) -> tuple[list[str], Any]:
    """The source's lines, and its class or function definition."""
    source = textwrap.dedent(inspect.getsource(found))
    return source.splitlines(), ast.parse(source).body[0]


def _code(text: str) -> str:
    return f"```python\n{text}\n```"
