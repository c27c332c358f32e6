"""The contract's messages and queries, from the JSON Schema that the contract generates."""

import json
from pathlib import Path
from typing import Any

from scripts.reference.schemas import LIBRARY_TYPES, fields_table

SCHEMA = Path(__file__).parents[2] / "chain_bridge/contract/schema/atlas.json"


def contract_page() -> str:
    """Instantiation, messages, queries and the types that they use."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    parts = [
        "# Contract messages",
        f"Version {schema['contract_version']} of the contract, from `chain_bridge/contract/schema/atlas.json`. "
        "An `amount` is a string of digits in the network's micro-denomination, times are unix seconds. "
        "[The chain](../chain.md) explains who may send which message, and when.",
        "## Instantiate",
        fields_table(schema["instantiate"], _definitions(schema["instantiate"])),
        "## Execute",
        *(_variant(one, schema["execute"]) for one in schema["execute"]["oneOf"]),
        "## Query",
        *(_variant(one, schema["query"]) for one in schema["query"]["oneOf"]),
        "## Types",
        *(
            _type(name, found, schema["execute"])
            for name, found in _definitions(schema["execute"]).items()
            if name not in LIBRARY_TYPES
        ),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _definitions(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schema.get("definitions", {})
    return found


def _variant(one: dict[str, Any], schema: dict[str, Any]) -> str:
    text = one.get("description", "")
    if "enum" in one:  # a message without fields
        return "\n\n".join(f"### `{name}`\n\n{text}\n\nNo fields." for name in one["enum"])
    name, body = next(iter(one["properties"].items()))
    definitions = _definitions(schema)
    if "$ref" in body:
        return f"### `{name}`\n\n{text}\n\nHolds a `{body['$ref'].rpartition('/')[2]}`, see [types](#types)."
    return f"### `{name}`\n\n{text}\n\n{fields_table(body, definitions)}"


def _type(name: str, found: dict[str, Any], schema: dict[str, Any]) -> str:
    text = " ".join(found.get("description", "").split())
    if "properties" in found:
        return f"### `{name}`\n\n{text}\n\n{fields_table(found, _definitions(schema))}"
    return f"### `{name}`\n\n{text}\n\n{_values(found)}"


def _values(found: dict[str, Any]) -> str:
    values = list(found.get("enum", []))
    for one in found.get("oneOf", []):
        values += one.get("enum", list(one.get("properties", {})))
    return "Values: " + ", ".join(f"`{value}`" for value in values) + "." if values else f"A {found.get('type')}."
