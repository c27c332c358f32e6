"""Drawing rows by their texts: quotas, ranks, and equal texts together, whatever the number of passes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.data.cut import texts
from atlas.data.cut.texts import NO_KEYS, contains, count_texts, draw_texts

U64 = st.integers(0, 2**64 - 1)
ROWS = st.lists(st.tuples(st.integers(0, 12), U64, st.integers(0, 2)), min_size=1, max_size=60)


def ranked(rows, chunk=7):
    def read():
        for start in range(0, len(rows), chunk):
            keys, ranks, strata = zip(*rows[start : start + chunk], strict=True)
            yield np.array(keys, "<u8"), np.array(ranks, "<u8"), np.array(strata, "<u4")

    return read


def sizes(rows, keys=None):
    return [sum(row[2] == stratum and (keys is None or row[0] in keys) for row in rows) for stratum in range(3)]


def drawn_one_by_one(rows, quotas, most):
    """The rule itself, without windows."""
    lowest = {}
    for key, rank, _ in rows:
        lowest[key] = min(lowest.get(key, 2**64), rank)
    left, drawn, smallest = list(quotas), set(), None
    for key in sorted(lowest, key=lambda key: (lowest[key], key)):
        counts = sizes(rows, {key})
        if all(count <= free for count, free in zip(counts, left, strict=True)):
            left = [free - count for count, free in zip(counts, left, strict=True)]
            drawn.add(key)
        elif all(count <= limit for count, limit in zip(counts, most, strict=True)):
            smallest = min(smallest or (2**64,), (sum(counts), lowest[key], key))
    return drawn or ({smallest[2]} if smallest and any(quotas) else set())


@given(rows=ROWS, quotas=st.lists(st.integers(0, 12), min_size=3, max_size=3), data=st.data())
def test_windows_of_any_width_draw_what_the_rule_says(rows, quotas, data):
    most = [max(0, size - 1) for size in sizes(rows)]
    quotas = [min(pair) for pair in zip(quotas, most, strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "SPARE_TEXTS", data.draw(st.sampled_from([1, 4, 1024])))
        patch.setattr(texts, "MOST_TEXTS", data.draw(st.sampled_from([3, 2**20])))
        found = draw_texts(ranked(rows), quotas, most)
    assert set(found.tolist()) == drawn_one_by_one(rows, quotas, most)
    assert all(count <= limit for count, limit in zip(sizes(rows, set(found.tolist())), most, strict=True))


@given(ranks=st.lists(U64, min_size=1, max_size=50, unique=True), wanted=st.integers(0, 50))
def test_where_no_text_repeats_the_lowest_ranks_are_drawn(ranks, wanted):
    rows = [(key, rank, 0) for key, rank in enumerate(ranks)]
    wanted = min(wanted, len(rows))
    found = draw_texts(ranked(rows), [wanted], [len(rows)])
    assert sorted(ranks[key] for key in found.tolist()) == sorted(ranks)[:wanted]


@given(keys=st.lists(U64, max_size=60), part=st.integers(1, 70))
def test_texts_are_counted_in_any_number_of_passes(keys, part):
    rows = ranked([(key, 0, 0) for key in keys])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "KEYS_AT_A_TIME", part)
        assert count_texts(lambda: (some for some, _, _ in rows()), len(keys)) == len(set(keys))


def test_nothing_contains_nothing():
    values = np.array([1, 2], "<u8")
    assert contains(NO_KEYS, values).tolist() == [False, False]
    assert contains(np.array([2], "<u8"), values).tolist() == [False, True]
