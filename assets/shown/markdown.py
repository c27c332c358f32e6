"""Tables in markdown, for the metadata of ops."""

from resources.planning.tables import PlanTable


def markdown_table(table: PlanTable) -> str:
    """The rows of a table in markdown; without rows, its title."""
    if not table.rows:
        return _cell(table.title)
    title, *rows = (" | ".join(map(_cell, line)) for line in [list(table.columns), *table.rows])
    rule = " | ".join("---:" if kind == "number" else "---" for kind in table.columns.values())
    return "\n".join(f"| {line} |" for line in [title, rule, *rows])


def _cell(text: str) -> str:
    """The text on one line; characters that would end the cell or start markup are escaped."""
    line = " ".join(text.split()).replace("\\", "\\\\")
    for mark in "|<>[]*_`":
        line = line.replace(mark, f"\\{mark}")
    return line
