"""Unexpected errors as text: one line for the user, the traceback for a log."""

import tempfile
import time
import traceback
from pathlib import Path

from atlas.disk.files import disk_advice
from atlas.errors import AtlasError

LONGEST = 400


class UnexpectedError(AtlasError):
    """An error that Atlas does not raise deliberately, in one sentence. Its cause has the details.

    `log` holds the traceback; None when no file could be written.
    """

    def __init__(self, error: BaseException, log: Path | None) -> None:
        where = "The traceback could not be written to any log." if log is None else f"The traceback is in {log}."
        advice = disk_advice(error)
        super().__init__(
            " ".join(filter(None, (f"Unexpected error: {end_sentence(describe_error(error))}", advice, where)))
        )
        self.__cause__ = error
        self.log = log


def describe_error(error: BaseException) -> str:
    """`TypeName: message` on one line of at most some 400 characters, or the type's name when there is no message."""
    message = one_line(str(traceback.TracebackException(type(error), error, None)))
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def one_line(text: str, longest: int = LONGEST) -> str:
    """The text on one line, with single spaces, without control characters; the middle of a long text is cut out."""
    line = " ".join(printable(text).split())
    if len(line) <= longest:
        return line
    half = (longest - 3) // 2
    return f"{line[:half].rstrip()} … {line[-half:].lstrip()}"


def printable(text: str) -> str:
    """The text with its line breaks and tabs but without other control characters, which could control a terminal."""
    spaced = "".join(" " if letter.isspace() and letter not in "\n\t" else letter for letter in text)
    return "".join(letter for letter in spaced if letter.isprintable() or letter in "\n\t")


def end_sentence(text: str) -> str:
    """The text with a full stop at its end, unless it ends a sentence already."""
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def traceback_text(error: BaseException) -> str:
    """The traceback with its causes; a cyclic chain of causes is followed once."""
    return "".join(traceback.format_exception(error))


def record_unexpected(error: BaseException, log: Path) -> UnexpectedError:
    """Append the traceback to `log` and return an error whose text names the file.

    If `log` cannot be written, a file in the folder for temporary files is used.
    """
    text = f"{time.strftime('%Y-%m-%d %H:%M:%S')} unexpected error\n{traceback_text(error)}\n"
    for path in (log, Path(tempfile.gettempdir()) / f"{log.stem}-errors.log"):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError:
            continue  # a full disk or a folder without write permission: try the next location
        return UnexpectedError(error, path)
    return UnexpectedError(error, None)
