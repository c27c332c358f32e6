"""The settings of each local agent, from a file: `--nodes FILE`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from atlas.documents.document import describe_validation
from atlas.errors import SpecError
from node_agent.home.config import NodeConfig

GIVEN_BY_NETWORK = ("network", "bus")
ANY_NETWORK = {
    "network": {"chain_id": "any", "url": "grpc+http://127.0.0.1:1"},
    "bus": "nats://127.0.0.1:1",
    "content": "any",
}


class NodeFile(NamedTuple):
    """A YAML list with one mapping per agent: settings that override those from the local network."""

    path: Path
    settings: list[dict[str, Any]]


def read_node_file(path: Path) -> NodeFile:
    """Read and validate `path`; relative paths of dataset sources are resolved against its folder.

    Raises `SpecError` that names each bad field.
    """
    path = path.expanduser().absolute()
    raw = _read_list(path)
    return NodeFile(path, [_settings(path, number, entry) for number, entry in enumerate(raw, start=1)])


def _read_list(path: Path) -> list[Any]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"Cannot read the nodes' settings {path}: {error}. Give the path of a YAML file.") from error
    except yaml.YAMLError as error:
        raise SpecError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(raw, list) or not raw:
        raise SpecError(
            f"{path} must hold a list with one mapping of settings per local agent, found {type(raw).__name__}."
        )
    return raw


def _settings(path: Path, number: int, entry: Any) -> dict[str, Any]:
    where = f"{path}, node {number}"
    if not isinstance(entry, dict):
        raise SpecError(f"{where}: expected a mapping of settings, such as {{slots: 1}}, found {entry!r:.80}.")
    for name in GIVEN_BY_NETWORK:
        if name in entry:
            raise SpecError(f"{where}: {name} is set by the local network; remove it.")
    settings = {**entry, "datasets": _resolved(path, entry["datasets"])} if "datasets" in entry else dict(entry)
    try:
        NodeConfig.model_validate({**ANY_NETWORK, **settings})
    except ValidationError as error:
        raise SpecError(f"{where} is not valid:\n{describe_validation(error, NodeConfig)}") from error
    return settings


def _resolved(path: Path, datasets: Any) -> Any:
    """The datasets, with absolute paths for sources that are files; malformed entries are left to the validation."""
    if not isinstance(datasets, Mapping):
        return datasets
    return {name: _with_absolute_source(path, value) for name, value in datasets.items()}


def _with_absolute_source(path: Path, dataset: Any) -> Any:
    source = dataset.get("source") if isinstance(dataset, Mapping) else None
    if not isinstance(source, str) or ":" in source:  # package:NAME, hub:NAME
        return dataset
    return {**dataset, "source": str(path.parent / Path(source).expanduser())}
