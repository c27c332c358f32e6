"""`atlas model export | push`: a checkpoint as a model for others."""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from atlas.content.format.cid import parse_cid
from atlas.errors import ContentError
from atlas.home import AtlasHome
from atlas.terminal.json_output import print_json
from atlas_pipelines.cli.content.open import open_content
from atlas_pipelines.cli.output import results_console
from resources.models.export import export_model

export_app = typer.Typer(add_completion=False)
Checkpoint = Annotated[str, typer.Argument(metavar="CID", help="CID of a checkpoint.")]
Merged = Annotated[
    bool, typer.Option("--merged", help="The whole model with the adapter merged into its weights; needs no peft.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class ExportCommand(TyperCommand):
    """Also takes `--merged FOLDER` and `--merged=FOLDER`, the forms of earlier versions."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Convert an earlier form to the current one, and print a hint."""
        others, folder = _take_merged_folder(args)
        if folder is None:
            return super().parse_args(ctx, args)
        named = [one for one in others if not one.startswith("-")]
        if len(named) == 1:  # otherwise the parser reports the wrong number of arguments
            typer.echo(f"Hint: write it as `atlas model export {named[0]} {folder} --merged`.", err=True)
        return super().parse_args(ctx, [*others, folder, "--merged"])


def _take_merged_folder(args: list[str]) -> tuple[list[str], str | None]:
    """The other arguments, and the folder that `--merged` names in the earlier form; None without one."""
    for at, one in enumerate(args):
        name, equals, folder = one.partition("=")
        if name == "--merged" and equals:
            return [*args[:at], *args[at + 1 :]], folder
        if one == "--merged" and args[at + 1 :] and not args[at + 1].startswith("-") and not _is_cid(args[at + 1]):
            return [*args[:at], *args[at + 2 :]], args[at + 1]
    return args, None


def _is_cid(text: str) -> bool:
    try:
        parse_cid(text)
    except ContentError:
        return False
    return True


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
        bool, typer.Option("--public", help="Make a repository that is created now public; otherwise it is private.")
    ] = False,
    json: Json = False,
) -> None:
    """Upload what `export` writes to the Hugging Face hub, with the token in HF_TOKEN or of `hf auth login`."""
    # Imported here, because an export does not need the hub.
    from resources.models.push import check_target, push_folder

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
