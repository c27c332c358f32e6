"""The commands of a program, from its tree of Typer commands, all loaded."""

from collections.abc import Iterator
from typing import Any, get_args

import typer

from atlas.terminal.deferred import Deferred
from scripts.reference.schemas import table


def commands_page(app: typer.Typer, program: str) -> str:
    """Every command of a program with its arguments and options."""
    sections = "\n".join(_section(name, command) for name, command in walk(typer.main.get_command(app), program))
    return f"# `{program}`\n\n`{program} COMMAND --help` prints the same.\n\n{sections}"


def walk(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """A command and all below it, each with the words that run it."""
    whole = command.load() if isinstance(command, Deferred) else command
    yield path, whole
    for name, inner in getattr(whole, "commands", {}).items():
        yield from walk(inner, f"{path} {name}")


def _section(path: str, command: Any) -> str:
    level = min(path.count(" ") + 2, 4)
    shown = [one for one in command.params if not getattr(one, "hidden", False) and one.name not in _EVERYWHERE]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    words = [_argument(one) for one in arguments]
    if getattr(command, "commands", None):
        words = ["COMMAND"]
    options = ["[OPTIONS]"] if len(shown) > len(arguments) else []
    usage = " ".join([path, *options, *words])
    parts = [f"{'#' * level} `{path}`", f"```\n{usage}\n```", _paragraphs(command.help or "")]
    rows = [(f"`{_names(one)}`", _default(one), " ".join((getattr(one, "help", None) or "").split())) for one in shown]
    if rows:
        parts.append(table(("Argument or option", "Default", "Meaning"), [_escaped(row) for row in rows]))
    return "\n\n".join(part for part in parts if part) + "\n"


_EVERYWHERE = {"install_completion", "show_completion", "help"}


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.replace("\b", "").split("\n\n"))


def _argument(one: Any) -> str:
    name = (one.metavar or one.name.upper()) + ("…" if one.nargs == -1 else "")
    return name if one.required else f"[{name}]"


def _names(one: Any) -> str:
    if one.param_type_name == "argument":
        return _argument(one)
    names = ", ".join([*one.opts, *one.secondary_opts])
    if one.is_flag:
        return names
    kind = one.metavar or _kind(one)
    return f"{names} {kind}" + (" …" if one.multiple else "")


def _kind(one: Any) -> str:
    annotation = one.type_descriptor.annotation
    inner = (*get_args(annotation), annotation)[0]  # list[str] is given as several TEXT
    return str(getattr(inner, "__name__", "value")).upper().replace("STR", "TEXT")


def _default(one: Any) -> str:
    if one.required:
        return "required"
    if one.default in (None, False, (), []) or callable(one.default):
        return ""
    return f"`{one.default}`"


def _escaped(row: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(cell.replace("|", "\\|") for cell in row)
