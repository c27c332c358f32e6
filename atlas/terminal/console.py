"""A console that wraps text between words; a word longer than a line, such as a path or CID, is not broken."""

import re
from collections.abc import Iterator
from typing import IO, Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

UNLIMITED_COLUMNS = 1_000_000
"""Without a terminal, lines are not wrapped, because a program may read them."""


class WordConsole(Console):
    """A rich console that breaks lines only between words, and not at all if its output is not a terminal."""

    def __init__(self, file: IO[str] | None = None, stderr: bool = False) -> None:
        super().__init__(file=file, stderr=stderr, highlight=False)
        if not self.is_terminal:
            self.width = UNLIMITED_COLUMNS

    def print(self, *objects: Any, **options: Any) -> None:
        """Like `Console.print`, but strings are plain text, as names and paths may have brackets; `Text` has styles."""
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
    """The offsets at which to break a line: before each word that no longer fits."""
    used = 0
    for word in re.finditer(r"\s*\S+\s*", line):
        length = cell_len(word.group().rstrip())
        if used and used + length > width:
            yield word.start() + len(word.group()) - len(word.group().lstrip())
            used = 0
        used += cell_len(word.group())
