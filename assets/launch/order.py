"""From a job's file and a person's changes to a validated order. Pure, except for reading the file."""

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from atlas.errors import SpecError
from atlas.models.catalogue import MODELS, known_model
from atlas.spec.job import AUTOMATION, SCHEDULE, JobSpec, order_part, read_mapping
from atlas.suggestions import suggest
from resources.jobs.automation import RetrainingRules

SHIPPED = (Path(__file__).resolve().parents[2], Path(__file__).resolve().parents[1])
"""The folders with `examples/`: that of a clone; the package of an installed wheel."""


class JobFile(NamedTuple):
    """The contents of a job's file: the order, and when it is ordered again."""

    order: JobSpec
    rules: RetrainingRules


def read_order(
    spec: str, model: str | None = None, changes: Mapping[str, Any] | None = None, name: str | None = None
) -> JobSpec:
    """The order in a job's file, as `read_job_file` reads it."""
    return read_job_file(spec, model, changes, name).order


def read_job_file(
    spec: str, model: str | None = None, changes: Mapping[str, Any] | None = None, name: str | None = None
) -> JobFile:
    """Read the YAML job spec `spec`, replace its model and change its settings if given, and validate the result.

    `changes` maps dotted fields (`training.steps`) to values; `name` replaces the job's name. Nothing is written.
    Raises `SpecError` that names each bad field.
    """
    raw = read_raw_order(spec, model, changes)
    return job_file(raw if name is None else {**raw, "name": name})


def job_file(raw: dict[str, Any]) -> JobFile:
    """Validate the mapping in a job's file; raises `SpecError` that names each bad field."""
    return JobFile(
        JobSpec.from_mapping(order_part(raw)),
        RetrainingRules.from_values(raw.get(SCHEDULE), raw.get(AUTOMATION)),
    )


def read_raw_order(spec: str, model: str | None = None, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The mapping that `read_order` validates, with the name that the file or a change gives it, if any."""
    raw = read_mapping(find_spec(spec))
    if model is not None:
        raw = with_model(raw, model)
    return with_changes(raw, changes or {})


def find_spec(path: str) -> Path:
    """The file as given; a relative path that does not exist here is also searched among the shipped examples."""
    given = Path(path).expanduser()
    if given.exists():
        return given
    return next((found for folder in SHIPPED if (found := folder / given).is_file()), given)


def with_model(raw: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Replace a raw spec's model by a name of the catalogue, `hub:ORG/NAME` or `path:FOLDER`.

    The settings that the catalogue provides (task, LoRA targets) then come from the new model, and the model's name
    is appended to the job's. Raises `SpecError` for a name that the catalogue does not contain.
    """
    known = known_model(model)
    if known is None and not re.match(r"(hub|path):.", model):
        names = ", ".join(sorted(MODELS))
        raise SpecError(
            f"model: {model!r} is unknown. Give one of {names}, or hub:ORG/NAME, or path:FOLDER."
            f"{suggest(model, MODELS)}"
        )
    old = raw.get("model")
    old_source = old.get("source") if isinstance(old, Mapping) else old
    if old_source in (model, known and known.source):
        return dict(raw)
    task = {"task": old["task"]} if known is None and isinstance(old, Mapping) and "task" in old else {}
    changed = {**raw, "model": {"source": known.source if known else model, **task}}
    if known and isinstance(raw.get("lora"), Mapping):
        changed["lora"] = {key: value for key, value in raw["lora"].items() if key != "target_modules"}
    if isinstance(raw.get("name"), str):
        changed["name"] = f"{raw['name']}-{model_slug(model)}"
    return changed


def model_slug(model: str) -> str:
    """The last part of a model's name, in the characters of job names: `hub:Org/Tiny_Model` becomes `tiny-model`."""
    last = re.split(r"[:/]", model.rstrip("/"))[-1]
    return re.sub(r"[^a-z0-9]+", "-", last.lower()).strip("-")


def with_changes(raw: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a raw spec with dotted fields replaced; raises `SpecError` when a field lies inside a plain value."""
    changed = copy.deepcopy(dict(raw))
    for field, value in changes.items():
        *path, last = field.split(".")
        place = changed
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise SpecError(f"{field}: cannot be set, because {part} holds the plain value {place!r}.")
        place[last] = value
    return changed


def parse_changes(lines: list[str]) -> dict[str, Any]:
    """Read `training.steps=10` lines; values are YAML. Raises `SpecError` for a line of another form."""
    changes = {}
    for line in lines:
        field, equals, text = line.partition("=")
        if not equals or not re.fullmatch(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*", field):
            raise SpecError(f"{line!r} is not a setting. Write FIELD=VALUE, such as training.steps=10.")
        try:
            changes[field] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise SpecError(f"{field}: the value {text!r} is not valid YAML: {error}") from error
    return changes
