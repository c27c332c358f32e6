"""A first look at a dataset: what it refuses is what preparing it would refuse."""

import pytest

from atlas.content.local.store import LocalStore
from atlas.data.prepare import check_first_rows, prepare_dataset
from atlas.errors import DataError
from atlas.spec.dataset import DatasetSpec, ShardRule
from atlas.spec.row_part import RowPart

GOOD = [{"text": f"text {number}", "label": "ab"[number % 2], "kind": "xyz"[number % 3]} for number in range(60)]


def spec(source, **changes):
    return DatasetSpec(**{"source": str(source), "labels": ["a", "b"], "shard_by": ShardRule(rows=10), **changes})


@pytest.mark.parametrize("rule", [ShardRule(rows=7), ShardRule(column="kind"), ShardRule(bytes=300)])
def test_of_few_rows_it_gives_the_shards_that_there_will_be(write_rows, tmp_path, rule):
    wanted = spec(write_rows(GOOD), shard_by=rule)
    manifest = prepare_dataset(wanted, LocalStore(tmp_path / "content"), tmp_path / "cache", 3, reference_rows=4)
    assert check_first_rows(wanted, tmp_path / "cache", 3, reference_rows=4) == [one.key for one in manifest.shards]


@pytest.mark.parametrize(
    ("rows", "changes"),
    [
        ([*GOOD, {"text": "", "label": "a"}], {}),
        ([*GOOD, {"text": "new", "label": "c"}], {}),
        (GOOD, {"text_column": "body"}),
        (GOOD[:1], {}),
        ([GOOD[0]] * 9, {}),
        (GOOD, {"shard_by": ShardRule(bytes=3)}),
    ],
)
def test_it_refuses_with_the_words_of_the_whole_check(rows, changes, write_rows, tmp_path):
    wanted = spec(write_rows(rows), **changes)
    with pytest.raises(DataError) as whole:
        prepare_dataset(wanted, LocalStore(tmp_path / "content"), tmp_path / "cache", 0)
    with pytest.raises(DataError) as first:
        check_first_rows(wanted, tmp_path / "cache", 0)
    assert str(first.value) == str(whole.value)


def test_rows_behind_the_first_are_not_read(write_rows, tmp_path):
    bad = {"text": "new", "label": "c"}
    late = spec(write_rows([*GOOD, bad]))
    assert check_first_rows(late, tmp_path, 0, most=60) is None
    with pytest.raises(DataError, match=r"1 row of .* cannot be used"):
        check_first_rows(late, tmp_path, 0, most=62)
    with pytest.raises(DataError, match=r"1 or more rows of .* cannot be used"):
        check_first_rows(spec(write_rows([bad, *GOOD])), tmp_path, 0, most=5)


def test_of_data_that_stays_on_its_nodes_the_coordinators_own_rows_are_checked(write_rows, tmp_path):
    def own(rows, **changes):
        return spec("node-local:visits", shard_by=ShardRule(nodes=2), holdout_source=str(write_rows(rows)), **changes)

    assert check_first_rows(own(GOOD), tmp_path, 0) is None
    with pytest.raises(DataError, match="has 1 row to"):
        check_first_rows(own(GOOD[:1]), tmp_path, 0, reference_rows=1)
    assert check_first_rows(own(GOOD, holdout_keep=RowPart(first=0, last=0, of=2)), tmp_path, 0) is None
