"""`atlas content`: the bytes that jobs refer to, by their CIDs."""

import typer

from atlas_pipelines.cli import content_files, content_gc, content_health, content_held

app = typer.Typer(no_args_is_help=True, help="The bytes that jobs refer to, by their CIDs.")
app.command()(content_held.ls)
app.command()(content_files.add)
app.command()(content_files.get)
app.command()(content_held.pin)
app.command()(content_held.unpin)
app.command()(content_gc.gc)
app.command()(content_health.verify)
app.command()(content_health.replicas)
