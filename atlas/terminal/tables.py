"""Tables that fit the terminal; if too wide, they are printed with one field per line."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

_GAP = 2


@dataclass(frozen=True)
class Column:
    """One column: its title, and the format of its cells."""

    title: str
    number: bool = False
    """Whether the cells are numbers, which are right-aligned."""
    prose: bool = False
    """Whether the cells are sentences, which may take several lines."""


def numbers(*titles: str) -> list[Column]:
    """Columns of numbers."""
    return [Column(title, number=True) for title in titles]


def texts(*titles: str) -> list[Column]:
    """Columns of names, paths, CIDs and the like, which stay on one line."""
    return [Column(title) for title in titles]


def print_table(console: Console, columns: Sequence[Column], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Print rows below their titles; if too wide, print one field per line, with a blank line between rows.

    Columns of prose shrink first, down to their longest word.
    """
    if title:
        console.print(Text(title, style="italic"))
    widths = _widths(columns, rows, console.width)
    if widths is None:
        _print_fields(console, columns, rows)
    else:
        console.print(_table(columns, rows, widths))


def print_fields(console: Console, fields: Sequence[tuple[str, str]], width: int = 0) -> None:
    """Print names and values, one pair per line; names are padded to `width` cells, or to the longest name."""
    width = max([width, *(cell_len(name) for name, _ in fields)])
    for name, value in fields:
        console.print(Text(f"{name:<{width}}  {value}".rstrip()))


def _print_fields(console: Console, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    width = max(cell_len(column.title) for column in columns)
    for number, row in enumerate(rows):
        if number:
            console.print()
        print_fields(console, [(column.title, cell) for column, cell in zip(columns, row, strict=True) if cell], width)


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]], available: int) -> list[int] | None:
    """The width of each column; None if the columns do not fit."""
    cells = [[column.title, *(row[number] for row in rows)] for number, column in enumerate(columns)]
    widths = [max(_longest_line(cell) for cell in column) for column in cells]
    left = available - _GAP * (len(columns) - 1)
    for number, column in enumerate(columns):
        excess = sum(widths) - left
        if column.prose and excess > 0:
            longest_word = max((cell_len(word) for cell in cells[number] for word in cell.split()), default=0)
            widths[number] = max(widths[number] - excess, longest_word)
    return widths if sum(widths) <= left else None


def _longest_line(cell: str) -> int:
    return max((cell_len(line) for line in cell.splitlines()), default=0)


def _table(columns: Sequence[Column], rows: Sequence[Sequence[str]], widths: Sequence[int]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for column, width in zip(columns, widths, strict=True):
        table.add_column(
            Text(column.title), justify="right" if column.number else "left", width=width, no_wrap=not column.prose
        )
    for row in rows:
        table.add_row(*map(Text, row))
    return table
