"""The `atlas` command."""

import typer
from stamina.instrumentation import LoggingOnRetryHook, set_on_retry_hooks

from atlas.commands import Verbose
from atlas_pipelines.cli import chain, content_commands, job, keys, model, nodes, run, up, verify
from atlas_pipelines.cli.output import AtlasCommands

app = typer.Typer(
    cls=AtlasCommands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def atlas(verbose: Verbose = False) -> None:
    """Fine-tune models with LoRA on machines that you do not own, and prove every step."""
    set_on_retry_hooks([LoggingOnRetryHook])  # by itself stamina would print retries to stdout, among the results


app.command("run")(run.run)
app.command("up")(up.up)
app.command("nodes")(nodes.nodes)
app.command("verify")(verify.verify)
app.add_typer(chain.app, name="chain")
app.add_typer(content_commands.app, name="content")
app.add_typer(job.app, name="job")
app.add_typer(keys.app, name="keys")
app.add_typer(model.app, name="model")
