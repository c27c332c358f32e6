"""Commands whose modules are imported when the command runs, so that a list of commands costs no imports."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True)
class Command:
    """Location of a command, `module:name` of a function or a `typer.Typer`, and the first paragraph of its help."""

    where: str
    short: str
    names: Callable[[], Iterable[str]] | None = None
    """The values of the first argument for shell completion; must be fast and import little."""


@dataclass(frozen=True)
class Group:
    """A group of commands under one name."""

    short: str
    commands: "Mapping[str, Command | Group]"


Entries = Mapping[str, Command | Group]


class Deferred(TyperCommand):
    """A placeholder for a command in a list: its name and short help, without its options."""

    def __init__(self, name: str, entry: Command) -> None:
        super().__init__(name, help=entry.short)
        self._where = entry.where
        self.names = entry.names

    def load(self) -> TyperCommand | TyperGroup:
        """Import the command's module and make the whole command."""
        module, _, name = self._where.partition(":")
        found = getattr(import_module(module), name)
        app = found if isinstance(found, typer.Typer) else typer.Typer(add_completion=False)
        if app is not found:
            app.command(self.name)(found)
        command: Any = typer.main.get_command(app)
        command.name = self.name
        return command  # type: ignore[no-any-return]

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Complete the first argument without importing the command's module; everything else requires it."""
        if self.names is None or ctx.args or incomplete.startswith("-"):
            return list(self.load().shell_complete(ctx, incomplete))
        return list(_completed(self.names).shell_complete(ctx, incomplete))


class DeferredGroup(TyperGroup):
    """A group that loads a command only when it was asked for by its name."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that the arguments name; fully loaded, except for shell completion of names from the table."""
        name, command, rest = super().resolve_command(ctx, args)
        if isinstance(command, Deferred) and not (ctx.resilient_parsing and command.names):
            return name, command.load(), rest
        return name, command, rest


def _completed(names: Callable[[], Iterable[str]]) -> Any:
    """An argument with shell completion of these names."""

    def stub(name: Annotated[str, typer.Argument(autocompletion=lambda: list(names()))]) -> None:
        """Never runs; Typer makes the argument from it."""

    app = typer.Typer(add_completion=False)
    app.command()(stub)
    return typer.main.get_command(app).params[0]


def commands_of(entries: Entries) -> dict[str, Any]:
    """The commands of a table, in the form that a group takes."""
    return {name: _command(name, entry) for name, entry in entries.items()}


def _command(name: str, entry: Command | Group) -> TyperCommand | TyperGroup:
    if isinstance(entry, Command):
        return Deferred(name, entry)
    return DeferredGroup(name=name, help=entry.short, commands=commands_of(entry.commands), no_args_is_help=True)
