"""Numbers with a noun in singular or plural."""


def counted(number: int, noun: str, several: str | None = None) -> str:
    """`1 row`, `2 rows`, `0 rows`, `19,459 rows`; `several` is the plural if it is irregular."""
    return f"{number:,} {noun if number == 1 else several or f'{noun}s'}"
