"""Refuse another order under a job name that is taken."""

import json
from collections.abc import Iterator
from typing import Any

from atlas.content.store import ContentStore
from atlas.documents.stored import get_document
from atlas.errors import ContentError, SpecError
from atlas.spec.job import JobSpec
from atlas.spec.recorded_forms import recorded_forms
from atlas.unexpected import one_line
from resources.jobs.registry import JobRow, refuse_other_spec

LISTED = 10
LONGEST_VALUE = 80


def refuse_other_order(taken: JobRow, spec: JobSpec, store: ContentStore) -> None:
    """Raise `SpecError` that lists the fields which differ, unless the name's recorded job has this order."""
    forms = recorded_forms(spec)
    if taken.spec_cid in [form.cid for form in forms]:
        return
    try:
        recorded = get_document(store, taken.spec_cid, JobSpec)
    except ContentError:
        refuse_other_spec(taken, spec.cid)
        raise
    changes = min((changed_fields(recorded, form) for form in forms), key=len)
    shown = "".join(f"\n  {field}: {_short(old)} there, {_short(new)} here" for field, old, new in changes[:LISTED])
    more = f"\n  and {len(changes) - LISTED} more" if len(changes) > LISTED else ""
    raise SpecError(
        f"The name {taken.name!r} is taken by a job with other settings:{shown}{more}\n"
        "Give this order another name (--name NAME, or name in its spec), or run the job with the settings it has."
    )


def changed_fields(old: JobSpec, new: JobSpec) -> list[tuple[str, Any, Any]]:
    """The dotted fields in which two specs differ, in order of name, each with its old and its new value.

    None stands for a field that one of them does not have.
    """
    before, after = dict(_fields(old.model_dump(mode="json"))), dict(_fields(new.model_dump(mode="json")))
    names = sorted(before.keys() | after.keys())
    return [(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)]


def _fields(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _fields(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value


def _short(value: Any) -> str:
    return one_line(json.dumps(value, ensure_ascii=False), LONGEST_VALUE)
