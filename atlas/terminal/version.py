"""The option `--version`."""

from importlib.metadata import version

import typer


def print_version(asked: bool) -> None:
    """Print the version of Atlas Pipelines that is installed, and end the command."""
    if asked:
        typer.echo(f"Atlas Pipelines {version('atlas-pipelines')}")
        raise typer.Exit
