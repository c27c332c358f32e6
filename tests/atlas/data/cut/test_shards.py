"""Cutting: every rule keeps the order, the bounds, and every row once, however many rows come at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.data.cut.shards import MOST_SHARDS, check_shard_count, cut_by
from atlas.data.cut.spool import ROW
from atlas.errors import DataError
from atlas.spec.dataset import ShardRule


def cut(rule, sizes, strata=("",), numbers=None, chunk=9):
    rows = np.zeros(len(sizes), ROW)
    rows["size"], rows["stratum"] = sizes, 0 if numbers is None else numbers
    cutter = cut_by(rule, strata)
    return [shard for start in range(0, len(rows), chunk) for shard in cutter(rows[start : start + chunk]).tolist()]


@given(rows=st.integers(1, 200), most=st.integers(1, 50))
def test_by_rows(rows, most):
    assert cut(ShardRule(rows=most), [1] * rows) == [row // most for row in range(rows)]


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=100), most=st.integers(40, 200))
def test_by_bytes(sizes, most):
    shards = cut(ShardRule(bytes=most), sizes)
    assert shards == sorted(shards)
    assert set(shards) == set(range(shards[-1] + 1))
    filled = [sum(size for size, shard in zip(sizes, shards, strict=True) if shard == one) for one in set(shards)]
    assert all(size <= most for size in filled)
    for one, size in enumerate(filled[:-1]):
        assert size + sizes[shards.index(one + 1)] > most, "the next row would have fitted"


def test_a_row_that_no_shard_can_hold_is_refused():
    with pytest.raises(DataError, match="A row takes 51 bytes, a shard may have 50"):
        cut(ShardRule(bytes=50), [10, 50, 51])


def test_by_column_in_order_of_the_value():
    assert cut(ShardRule(column="place"), [1] * 4, ["b", "10", "a"], [0, 1, 2, 0]) == [2, 0, 1, 2]


@pytest.mark.parametrize(
    ("rule", "chosen"),
    [(ShardRule(rows=1), "rows 1"), (ShardRule(bytes=1), "bytes 1"), (ShardRule(column="c"), "column c")],
)
def test_too_many_shards_are_refused(rule, chosen):
    check_shard_count(rule, MOST_SHARDS)
    with pytest.raises(DataError, match=f"Cutting by {chosen} makes 10001 shards; at most 10000"):
        check_shard_count(rule, MOST_SHARDS + 1)
