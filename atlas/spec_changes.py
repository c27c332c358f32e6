"""What differs between two specs, field by field."""

from collections.abc import Mapping
from typing import Any

from atlas.documents import Document

MOST_SHOWN = 20
LONGEST_VALUE = 60


def changed_fields(old: Document, new: Document) -> list[str]:
    """One line for each field that differs, by its dotted path: `training.steps: 40 before, 3 now`."""
    before, now = _flat(old.model_dump(mode="python")), _flat(new.model_dump(mode="python"))
    changed = [path for path in sorted({*before, *now}) if before.get(path) != now.get(path)]
    lines = [f"{path}: {_shown(before, path)} before, {_shown(now, path)} now" for path in changed[:MOST_SHOWN]]
    rest = len(changed) - len(lines)
    return [*lines, *([f"and {rest} more"] if rest else [])]


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, part in value.items():
        found.update(_flat(part, f"{prefix}{name}.") if isinstance(part, Mapping) else {f"{prefix}{name}": part})
    return found


def _shown(values: Mapping[str, Any], path: str) -> str:
    return f"{values[path]!r:.{LONGEST_VALUE}}" if path in values else "the default"
