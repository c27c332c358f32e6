"""A console whose texts wrap at words; a word that is longer than a line, such as a path or CID, stays whole."""

import re
from collections.abc import Iterator
from typing import IO, Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

UNLIMITED_COLUMNS = 1_000_000
"""Where no terminal sets a width, a line is as long as its text: a program may read it."""


class WordConsole(Console):
    """A rich console that breaks lines between words only, and none at all where its output is no terminal."""

    def __init__(self, file: IO[str] | None = None, stderr: bool = False) -> None:
        super().__init__(file=file, stderr=stderr, highlight=False)
        if not self.is_terminal:
            self.width = UNLIMITED_COLUMNS

    def print(self, *objects: Any, **options: Any) -> None:
        """As `Console.print`. A string is plain text, since names and paths may have brackets; a `Text` has styles."""
        if len(objects) == 1 and isinstance(objects[0], str | Text):
            text = objects[0] if isinstance(objects[0], Text) else Text(objects[0])
            objects = (wrap_words(text, self.width),)
        super().print(*objects, **{**options, "soft_wrap": True})


def wrap_words(text: Text, width: int) -> Text:
    """The text in lines of at most `width` cells, except for longer words, which are never cut."""
    return Text("\n").join(
        part for line in text.split("\n", allow_blank=True) for part in line.divide(list(_breaks(line.plain, width)))
    )


def _breaks(line: str, width: int) -> Iterator[int]:
    """Where a line is broken: before words that do not fit beside those before them."""
    used = 0
    for word in re.finditer(r"\s*\S+\s*", line):
        length = cell_len(word.group().rstrip())
        if used and used + length > width:
            yield word.start() + len(word.group()) - len(word.group().lstrip())
            used = 0
        used += cell_len(word.group())
