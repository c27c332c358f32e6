"""The `atlas` command."""

from typing import Annotated, Any

import typer

from atlas.terminal.commands import Verbose
from atlas.terminal.deferred import commands_of
from atlas.terminal.signals import stop_on_signals
from atlas.terminal.version import print_version
from atlas_pipelines.cli.commands import COMMANDS
from atlas_pipelines.cli.output import AtlasCommands


class Atlas(AtlasCommands):
    """The group that has every command of `atlas`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": commands_of(COMMANDS)})


app = typer.Typer(cls=Atlas, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def atlas(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=print_version, is_eager=True)
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Fine-tune models with LoRA on machines that you do not own, and prove every step."""
    stop_on_signals()
    # Imported here, because listing the commands needs no retries.
    from stamina.instrumentation import LoggingOnRetryHook, set_on_retry_hooks

    set_on_retry_hooks([LoggingOnRetryHook])  # by default, stamina prints retries to stdout, among the results
