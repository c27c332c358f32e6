import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.errors import DataError
from atlas.spec.job import JobSpec
from atlas.training.tasks.rows import Row, read_rows, row_order

CLASSIFY = "sequence-classification"


def test_labels_become_class_indices_in_the_order_of_the_spec(tmp_path: Path, spec_of: Callable[..., JobSpec]) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"label":"good","text":"ja, schön\\n"}\n{"label":"bad","text":"no\u2028"}\n', encoding="utf-8")
    assert read_rows(path, spec_of(CLASSIFY)) == [Row("ja, schön\n", 1), Row("no\u2028", 0)]
    assert read_rows(path, spec_of("causal-lm")) == [Row("ja, schön\n"), Row("no\u2028")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"label":"good","text":"a"}\n{"label":"ugly","text":"a"}\n', r"Row 2 of r\.jsonl has the label 'ugly'"),
        ('{"text":"a"}\n', "Row 1 of r.jsonl has the label None"),
        ('{"label":["good"],"text":"a"}\n', r"Row 1 of r.jsonl has the label \['good'\]"),
        ('{"label":"good"}\n', "Row 1 of r.jsonl must be a JSON object with a string under 'text'"),
        ('{"label":"good","text":3}\n', "string under 'text'"),
        ("[]\n", "must be a JSON object"),
        ('{"label":\n', "Row 1 of r.jsonl is not JSON"),
        ("", "holds no rows"),
    ],
)
def test_a_row_that_does_not_fit_is_named(
    content: str, message: str, tmp_path: Path, spec_of: Callable[..., JobSpec]
) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_rows(path, spec_of(CLASSIFY))


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_an_unreadable_file_is_an_error_that_names_it(
    content: bytes | None, tmp_path: Path, spec_of: Callable[..., JobSpec]
) -> None:
    path = tmp_path / "r.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"r\.jsonl"):
        read_rows(path, spec_of(CLASSIFY))


@given(rows=st.integers(1, 40), seed=st.integers(0, 2**63), length=st.integers(0, 150))
def test_each_pass_holds_every_row_once_and_a_longer_order_begins_with_a_shorter(
    rows: int, seed: int, length: int
) -> None:
    order = row_order(rows, seed, length)
    assert len(order) == length
    assert row_order(rows, seed, length + 7)[:length] == order
    for start in range(0, length - rows + 1, rows):
        assert sorted(order[start : start + rows]) == list(range(rows))
    counts = Counter(order)
    assert all(counts[row] in (length // rows, length // rows + 1) for row in range(rows))


def test_the_order_is_the_documented_one() -> None:
    def rank(turn: int) -> list[int]:
        return sorted(range(6), key=lambda row: hashlib.sha256(f"17:{turn}:{row}".encode()).hexdigest())

    assert row_order(6, 17, 12) == rank(0) + rank(1)
    assert rank(0) != rank(1)
