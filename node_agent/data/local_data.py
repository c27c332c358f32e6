"""The node's own data: committed to when the agent starts, checked and written to a file for each task."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from atlas import activity
from atlas.counts import counted
from atlas.data.local_data import LocalData, LocalSource, commit_rows, read_local_rows
from atlas.data.rows import EncodedRow
from atlas.documents.stored import get_document
from atlas.errors import AtlasError
from atlas.spec.job import JobSpec, TaskSpec
from atlas.spec.partition_names import spellings
from node_agent.data.salt import load_or_create_salt
from node_agent.errors import ConfigError, LocalDataError
from node_agent.home.config import NodeConfig, NodeHome
from node_agent.node_context import NodeContext

log = logging.getLogger(__name__)


def commit_to_data(home: NodeHome, config: NodeConfig, address: str) -> list[LocalData]:
    """Read every dataset of the node, in order of name, and return the documents to register. Blocks.

    `address` is the node's. Raises `AtlasError` that names the dataset and its fault.
    """
    return [commit_to(name, home, config, address) for name in sorted(config.datasets)]


def commit_to(name: str, home: NodeHome, config: NodeConfig, address: str) -> LocalData:
    """Read one dataset and commit to its rows; raises as `commit_to_data` does, and for an unknown name."""
    if name not in config.datasets:
        known = ", ".join(sorted(config.datasets)) or "none"
        raise ConfigError(f"{home.config} has no dataset {name!r} under `datasets`; it has {known}.")
    source = config.datasets[name]
    lines = (row.line for row in _named(name, read_local_rows(source, home.cache)))
    labelled = source.label_column is not None
    return commit_rows(name, address, labelled, lines, load_or_create_salt(home.salt))


def local_rows(task: TaskSpec, shop: NodeContext, folder: Path) -> Path:
    """Write the node's own rows for a task into its folder (mode 600), if they are the registered ones. Blocks.

    Raises `LocalDataError`, whose text quotes no row, because it goes to the coordinator.
    """
    registered = get_document(shop.store, task.data, LocalData)
    spec = get_document(shop.store, task.job, JobSpec)
    source = _permitted(task, registered, spec, shop)
    path, unchecked = folder / "rows.jsonl", folder / "unchecked.jsonl"
    unchecked.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(unchecked, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            lines = _written(registered.name, source, spec, shop.home.cache, file)
            salt = load_or_create_salt(shop.home.salt)
            found = commit_rows(registered.name, registered.address, source.label_column is not None, lines, salt)
        _check_unchanged(registered, found)
        unchecked.replace(path)
    finally:
        unchecked.unlink(missing_ok=True)
    return path


def _check_unchanged(registered: LocalData, found: LocalData) -> None:
    if found != registered:
        raise LocalDataError(
            f"The dataset {registered.name!r} of this node differs from the registered one: expected "
            f"{counted(registered.rows, 'row')}, found {found.rows}, or other contents. Restart the agent, so that it "
            "registers the data again, and open a new job."
        )


def _permitted(task: TaskSpec, registered: LocalData, spec: JobSpec, shop: NodeContext) -> LocalSource:
    """The settings of the task's dataset; raises `LocalDataError` if the task may not train on it."""
    name, address = registered.name, shop.signer.address
    if registered.address != address:
        raise LocalDataError(
            f"The dataset {name!r} of the task is on the node of {registered.address}, not of {address}."
        )
    if spec.dataset.node_local != name:
        raise LocalDataError(f"The task trains on the dataset {name!r}, but its job is about {spec.dataset.source!r}.")
    source = shop.config.datasets.get(name)
    if source is None:
        raise LocalDataError(f"This node no longer offers the dataset {name!r}. Open a new job without it.")
    if source.jobs is not None and task.job not in source.jobs:
        raise LocalDataError(
            f"The owner of this node has not allowed the job {task.job} to train on the dataset {name!r}. Ask for it "
            f"to be added to datasets.{name}.jobs of the node."
        )
    return source


def _written(name: str, source: LocalSource, spec: JobSpec, cache: Path, file: BinaryIO) -> Iterator[bytes]:
    """Write each row, and yield its line for the commitment.

    Rows are private, so what is wrong with a row only goes to the node's own log.
    """
    allowed = spellings(spec.dataset.labels) if spec.dataset.label_column is not None else {}
    try:
        for number, row in enumerate(read_local_rows(source, cache), 1):
            if allowed and row.label not in allowed:
                log.error(
                    "row %d of dataset %s has the label %r; the job allows %s",
                    number,
                    name,
                    row.label,
                    spec.dataset.labels,
                )
                raise LocalDataError(
                    f"A row of the dataset {name!r} of this node does not have one of the job's labels: "
                    f"{', '.join(map(repr, spec.dataset.labels))}. The node's log names the row."
                )
            file.write(row.line)
            activity.advance(len(row.line))
            yield row.line
    except LocalDataError:
        raise
    except Exception as error:  # any library's message may quote a row
        log.exception("dataset %s cannot be read", name)
        raise LocalDataError(
            f"The dataset {name!r} of this node can no longer be read. The node's log has the reason."
        ) from error


def _named(name: str, rows: Iterator[EncodedRow]) -> Iterator[EncodedRow]:
    try:
        yield from rows
    except AtlasError as error:
        raise ConfigError(f"The dataset {name!r} cannot be registered. {error}") from error
