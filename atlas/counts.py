"""Numbers with the noun that they count, as a sentence needs them."""


def counted(number: int, noun: str, several: str | None = None) -> str:
    """`1 row`, `2 rows`, `0 rows`, `19,459 rows`; `several` is the plural where it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else several or f'{noun}s'}"
