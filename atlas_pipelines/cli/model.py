"""`atlas model`: take a checkpoint out as a model."""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import click
import typer
from typer.core import TyperCommand

from atlas.content.cid import parse_cid
from atlas.home import AtlasHome
from atlas_pipelines.cli.content import open_content
from atlas_pipelines.cli.output import print_json, results_console
from resources.model_export import export_model

export_app = typer.Typer(add_completion=False)
Checkpoint = Annotated[str, typer.Argument(metavar="CID", help="CID of a checkpoint.")]
Merged = Annotated[
    bool, typer.Option("--merged", help="The whole model with the adapter merged into its weights; needs no peft.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class ExportCommand(TyperCommand):
    """Also takes `--merged=FOLDER`, the form of earlier versions."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Turn the earlier form into today's, with a hint."""
        now: list[str] = []
        for one in args:
            name, equals, folder = one.partition("=")
            if name == "--merged" and equals:
                cid = next((arg for arg in args if not arg.startswith("-")), "CID")
                click.echo(f"Hint: write it as `atlas model export {cid} {folder} --merged`.", err=True)
                now += [folder, "--merged"]
            else:
                now.append(one)
        return super().parse_args(ctx, now)


@export_app.command("export", cls=ExportCommand)
def export(
    checkpoint: Checkpoint,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder to write; it must be empty or not there yet.")
    ],
    merged: Merged = False,
    json: Json = False,
) -> None:
    """Write a checkpoint's adapter as a PEFT folder, or with --merged the whole model, with a model card.

    Plain peft and transformers load it; Atlas is not needed.
    """
    home = AtlasHome.from_environment()
    export_model(parse_cid(checkpoint), folder.absolute(), merged, open_content(home), home)
    found: dict[str, Any] = {"checkpoint": checkpoint, "folder": str(folder.absolute()), "merged": merged}
    if json:
        print_json(found)
    else:
        results_console().print(f"Wrote {'the merged model' if merged else 'the adapter'} to {folder}.")


def push(
    checkpoint: Checkpoint,
    repository: Annotated[str, typer.Argument(metavar="ORG/NAME", help="The repository on the Hugging Face hub.")],
    merged: Merged = False,
    public: Annotated[
        bool, typer.Option("--public", help="Let everybody read a repository that is created now; else it is private.")
    ] = False,
    json: Json = False,
) -> None:
    """Upload what `export` writes to the Hugging Face hub, with the token in HF_TOKEN or of `hf auth login`."""
    # Here, since an export needs no hub.
    from resources.model_push import check_target, push_folder

    check_target(repository)
    home = AtlasHome.from_environment()
    home.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.root, prefix="push-") as room:
        folder = Path(room) / "model"
        export_model(parse_cid(checkpoint), folder, merged, open_content(home), home)
        url = push_folder(folder, repository, private=not public)
    if json:
        print_json({"checkpoint": checkpoint, "repository": repository, "url": url})
    else:
        results_console().print(f"Uploaded to {url}")
