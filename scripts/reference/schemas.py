"""Tables of fields, from JSON Schema: pydantic models and the contract's messages."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

_BOUNDS = {
    "exclusiveMinimum": "> {}",
    "minimum": "≥ {}",
    "exclusiveMaximum": "< {}",
    "maximum": "≤ {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "maxProperties": "at most {} entries",
    "pattern": "matches `{}`",
}
_LARGEST_EXACT = 2**53
"""The bound of all integers in canonical JSON; the pages state it once."""
LIBRARY_TYPES = {"Uint128": "amount", "Uint64": "integer as string", "Binary": "base64", "Timestamp": "time"}
"""Types of the contract's library, whose descriptions are about Rust."""


def model_fields(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, Schema, Schema]]:
    """Every model in `model`, itself first: its dotted path, its schema, and the schema's definitions."""
    whole = model.model_json_schema()
    definitions = whole.get("$defs", {})
    yield from _nested(whole, path, definitions)


def _nested(schema: Schema, path: str, definitions: Schema) -> Iterator[tuple[str, Schema, Schema]]:
    yield path, schema, definitions
    for name, field in schema.get("properties", {}).items():
        found = _referenced(field, definitions)
        if found is not None and "properties" in found:
            yield from _nested(found, f"{path}.{name}".strip("."), definitions)


def _referenced(field: Schema, definitions: Schema) -> Schema | None:
    """The model that a field holds: itself, or nullable, or in a list or mapping."""
    inside = [one for one in (field.get("items"), _values(field)) if isinstance(one, dict)]
    parts = [field, *field.get("anyOf", []), *field.get("allOf", []), *inside]
    for part in parts:
        if "$ref" in part:
            found: Schema = definitions[part["$ref"].rpartition("/")[2]]
            return found
    return None


def fields_table(schema: Schema, definitions: Schema) -> str:
    """One row per field: name, type, default, bounds, description."""
    required = schema.get("required", [])
    rows = [
        (
            f"`{name}`",
            _cell(type_of(field, definitions)),
            _default(field, needed=name in required),
            _cell(", ".join(bounds_of(field, definitions))),
            _cell(_described(field, definitions)),
        )
        for name, field in schema.get("properties", {}).items()
    ]
    if not rows:
        return "No fields.\n"
    return table(("Field", "Type", "Default", "Bounds", "Description"), rows)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table without the columns that are empty in every row."""
    kept = [column for column in range(len(header)) if any(row[column] for row in rows)]
    lines = [
        [header[column] for column in kept],
        ["---"] * len(kept),
        *([row[column] for column in kept] for row in rows),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def type_of(field: Schema, definitions: Schema) -> str:
    """The type in words: `integer`, `list of string`, `one of a, b`, `string or null`."""
    if "const" in field:
        return f"always {json.dumps(field['const'])}"
    if "enum" in field:
        return "one of " + ", ".join(f"`{value}`" for value in field["enum"])
    if "$ref" in field:
        return _reference_type(field["$ref"].rpartition("/")[2], definitions)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in field:
            return " or ".join(dict.fromkeys(type_of(one, definitions) for one in field[several]))
    kind = field.get("type", "any value")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        return _list_type(field, definitions)
    if kind == "object" and (values := _values(field)) is not None:
        return f"mapping to {type_of(values, definitions)}"
    return "path" if field.get("format") == "path" else "mapping" if kind == "object" else str(kind)


def _values(field: Schema) -> Schema | None:
    """What the values of a mapping with free keys are; None when there is no such mapping, or they may be anything."""
    for found in (*field.get("patternProperties", {}).values(), field.get("additionalProperties")):
        if isinstance(found, dict):
            return found
    return None


def _list_type(field: Schema, definitions: Schema) -> str:
    items = field.get("items", {})
    if isinstance(items, list):  # a tuple
        return "[" + ", ".join(type_of(one, definitions) for one in items) + "]"
    return f"list of {type_of(items, definitions)}"


def _reference_type(name: str, definitions: Schema) -> str:
    if name in LIBRARY_TYPES:
        return LIBRARY_TYPES[name]
    found = definitions[name]
    return name if "properties" in found or "oneOf" in found else type_of(found, definitions)


def bounds_of(field: Schema, definitions: Schema) -> list[str]:
    """What values are allowed, in words, also of what a nullable or referenced field holds."""
    found = [
        words.format(_number(field[key]))
        for key, words in _BOUNDS.items()
        if key in field and not (key == "exclusiveMaximum" and field[key] == _LARGEST_EXACT)
    ]
    for part in field.get("anyOf", []):
        found += bounds_of(part, definitions)
    if "$ref" in field:
        referenced = definitions[field["$ref"].rpartition("/")[2]]
        found += [] if "properties" in referenced else bounds_of(referenced, definitions)
    return list(dict.fromkeys(found))


def _number(bound: object) -> object:
    return int(bound) if isinstance(bound, float) and bound.is_integer() else bound


def _default(field: Schema, *, needed: bool) -> str:
    if needed:
        return "required"
    empty: Any = {"array": [], "object": {}}.get(str(field.get("type")))  # pydantic leaves out what a factory makes
    default = field.get("default", empty)
    nested = isinstance(default, dict) and default
    return "see below" if nested else _cell(f"`{json.dumps(default, ensure_ascii=False)}`")


def _described(field: Schema, definitions: Schema) -> str:
    if "description" in field:
        return str(field["description"])
    found = None if _names_library_type(field) else _referenced(field, definitions)
    return str(found.get("description", "")).split("\n\n")[0] if found else ""


def _names_library_type(field: Schema) -> bool:
    return any(f'/{name}"' in json.dumps(field) for name in LIBRARY_TYPES)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
