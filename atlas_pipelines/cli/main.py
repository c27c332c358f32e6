"""The `atlas` command."""

import typer

from atlas_pipelines.cli import chain, job, model, run, up, verify
from atlas_pipelines.cli.output import CleanErrors

app = typer.Typer(
    cls=CleanErrors,
    no_args_is_help=True,
    add_completion=False,
    help="Fine-tune models with LoRA on machines that you do not own, and prove every step.",
)
app.command("run")(run.run)
app.command("up")(up.up)
app.command("verify")(verify.verify)
app.add_typer(chain.app, name="chain")
app.add_typer(job.app, name="job")
app.add_typer(model.app, name="model")
