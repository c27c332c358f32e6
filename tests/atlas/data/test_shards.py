"""Cutting: every rule keeps the order, the bounds, and every row once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.data.shards import MOST_SHARDS, cut_shards
from atlas.dataset_spec import ShardRule
from atlas.errors import DataError


@given(rows=st.integers(1, 200), most=st.integers(1, 50))
def test_by_rows(rows, most):
    shards = cut_shards(ShardRule(rows=most), {"": range(rows)}, lambda row: 1)
    assert [row for shard in shards for row in shard.rows] == list(range(rows))
    assert all(len(shard.rows) == most for shard in shards[:-1])
    assert 0 < len(shards[-1].rows) <= most
    assert all(shard.value is None for shard in shards)


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=100), most=st.integers(40, 200))
def test_by_bytes(sizes, most):
    shards = cut_shards(ShardRule(bytes=most), {"": range(len(sizes))}, sizes.__getitem__)
    assert [row for shard in shards for row in shard.rows] == list(range(len(sizes)))
    filled = [sum(sizes[row] for row in shard.rows) for shard in shards]
    assert all(0 < size <= most for size in filled)
    for size, following in zip(filled, shards[1:], strict=False):
        assert size + sizes[following.rows[0]] > most, "the next row would have fitted"


def test_a_row_that_no_shard_can_hold_is_named():
    with pytest.raises(DataError, match="Row 3 takes 51 bytes, a shard may have 50"):
        cut_shards(ShardRule(bytes=50), {"": range(3)}, [10, 50, 51].__getitem__)


def test_by_column_in_order_of_the_value():
    shards = cut_shards(ShardRule(column="place"), {"b": [0, 3], "10": [1], "a": [2]}, lambda row: 1)
    assert [(shard.value, list(shard.rows)) for shard in shards] == [("10", [1]), ("a", [2]), ("b", [0, 3])]


@pytest.mark.parametrize(
    ("rule", "chosen"),
    [(ShardRule(rows=1), "rows 1"), (ShardRule(bytes=1), "bytes 1"), (ShardRule(column="c"), "column c")],
)
def test_too_many_shards_are_refused(rule, chosen):
    def strata(count):
        return {f"{row:05d}": [row] for row in range(count)} if rule.column else {"": range(count)}

    assert len(cut_shards(rule, strata(MOST_SHARDS), lambda row: 1)) == MOST_SHARDS
    with pytest.raises(DataError, match=f"Cutting by {chosen} makes 10001 shards; at most 10000"):
        cut_shards(rule, strata(MOST_SHARDS + 1), lambda row: 1)
