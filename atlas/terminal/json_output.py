"""Results for scripts."""

import json
from typing import Any

import typer


def print_json(value: Any, one_line: bool = False) -> None:
    """Print exactly one JSON value on stdout: indented, or on one line where a program reads line by line."""
    typer.echo(json.dumps(value, indent=None if one_line else 2))
