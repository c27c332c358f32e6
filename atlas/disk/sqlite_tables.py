"""Tables of a SQLite file that is created by the first write, not by reads."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from atlas.disk.files import describe_os_error
from atlas.disk.sqlite_file import SqliteFile, has_log


class SqliteTables:
    """Tables in a file that is created at the first write; before that, reads find empty tables. Thread-safe."""

    def __init__(self, file: SqliteFile, schema: str, version: int = 0) -> None:
        """`schema` and `version` as for `SqliteFile.create`, which also checks an existing file."""
        self.file = file
        self._schema = schema
        self._version = version
        self._made = False
        if self._is_there():
            self._make()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for a block that only reads; raises the file's `error`."""
        if self._made or self._is_there():
            with self.writing() as database:
                yield database
            return
        with closing(sqlite3.connect(":memory:")) as empty:
            empty.executescript(self._schema)
            yield empty

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Like `SqliteFile.transaction`, but creates the file if necessary."""
        self._make()
        with self.file.transaction() as database:
            yield database

    def _is_there(self) -> bool:
        """Whether the file or its log exists; raises the file's `error` if the path cannot be accessed."""
        try:
            self.file.path.lstat()
        except FileNotFoundError:
            return has_log(self.file.path)
        except OSError as problem:  # a file in place of a folder, or a folder without search permission
            raise self.file.error(f"Cannot read {self.file.path}: {describe_os_error(problem)}") from problem
        return True

    def _make(self) -> None:
        if not self._made:  # create only once: a file that is lost later must not be silently recreated
            self.file.create(self._schema, self._version)
            self._made = True
