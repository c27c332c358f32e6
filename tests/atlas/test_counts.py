"""Numbers with their nouns."""

import pytest

from atlas.counts import counted


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (-1, "-1 rows"), (19_459, "19,459 rows")]
)
def test_a_noun_is_singular_for_one_alone(number: int, text: str) -> None:
    assert counted(number, "row") == text


def test_a_plural_of_its_own() -> None:
    assert counted(1, "entry", "entries") == "1 entry"
    assert counted(3, "entry", "entries") == "3 entries"
