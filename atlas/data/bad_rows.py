"""Bad rows: reported in one error that lists the first ten, or skipped and counted."""

from atlas.counts import counted
from atlas.errors import DataError

MOST_SHOWN = 10
MOST_COUNTED = 10_000
"""After this many bad rows the settings are surely wrong, so the rest of the file is not read."""


class BadRow(DataError):
    """A row that cannot be used: the problem, and the setting that may help."""

    def __init__(self, problem: str, setting: str | None = None) -> None:
        super().__init__(problem)
        self.setting = setting


class BadRows:
    """The bad rows of one source; at most ten are kept, the others are counted."""

    def __init__(self, source: str, skip: bool, prefix: str = "dataset.") -> None:
        self.count = 0
        self._source, self._skip, self._prefix = source, skip, prefix
        self._shown: list[tuple[str, BadRow]] = []

    @property
    def refused(self) -> bool:
        """Whether the source is refused: there are bad rows, and they are not skipped."""
        return self.count > 0 and not self._skip

    def add(self, place: str, row: BadRow) -> None:
        """Add a bad row; unless bad rows are skipped, raises `DataError` at the 10,000th."""
        self.count += 1
        if len(self._shown) < MOST_SHOWN:
            self._shown.append((place, row))
        if self.count >= MOST_COUNTED:
            self.refuse(" or more")

    def refuse(self, more: str = "") -> None:
        """Raise `DataError` that lists the first ten bad rows, if there are any and they are not to be skipped."""
        if self.refused:
            many = f"{self.count:,}{more} rows" if more else counted(self.count, "row")
            settings = [self._prefix + row.setting for _, row in self._shown if row.setting]
            helps = [*dict.fromkeys(settings), f"{self._prefix}bad_rows: skip, which leaves such rows out"]
            raise DataError(
                f"{many} of {self._source} cannot be used:\n{self.listed()}\n"
                f"Correct or remove them. Settings that may help: {'; '.join(helps)}."
            )

    def listed(self) -> str:
        """The problems and places of the first ten bad rows, and the number of further ones."""
        places: dict[str, list[str]] = {}
        for place, row in self._shown:
            places.setdefault(str(row), []).append(place)
        lines = [f"  {', '.join(found)}: {problem}" for problem, found in places.items()]
        rest = self.count - len(self._shown)
        return "\n".join([*lines, *([f"  and {rest:,} more"] if rest else [])])
