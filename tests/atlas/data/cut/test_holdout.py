"""The draw of held-out rows: proportional, seeded, and the same for everybody."""

from hypothesis import assume, given
from hypothesis import strategies as st

from atlas.data.cut.holdout import allot_holdout, holdout_rank

SIZES = st.dictionaries(st.text(max_size=3), st.integers(1, 200), min_size=1, max_size=8)


@given(sizes=SIZES, wanted=st.integers(0, 300))
def test_the_allotment_is_exact_and_leaves_every_stratum_a_row(sizes, wanted):
    quotas = allot_holdout(sizes, wanted)
    assert quotas.keys() == sizes.keys()
    assert sum(quotas.values()) == min(wanted, sum(sizes.values()) - len(sizes))
    assert all(0 <= quotas[name] < sizes[name] for name in sizes)


@given(sizes=SIZES, wanted=st.integers(0, 300))
def test_the_allotment_is_proportional_to_within_one_row(sizes, wanted):
    total = sum(sizes.values())
    assume(all(wanted * size <= (size - 1) * total for size in sizes.values()))
    quotas = allot_holdout(sizes, wanted)
    assert all(abs(quotas[name] - wanted * size / total) < 1 for name, size in sizes.items())


def test_a_known_allotment():
    assert allot_holdout({"a": 50, "b": 30, "c": 20}, 10) == {"a": 5, "b": 3, "c": 2}
    assert allot_holdout({"a": 1, "b": 1, "c": 98}, 10) == {"a": 0, "b": 0, "c": 10}
    assert allot_holdout({"a": 10, "b": 10, "c": 10}, 4) == {"a": 2, "b": 1, "c": 1}


def test_the_rank_depends_on_seed_place_and_content():
    ranks = {holdout_rank(seed, place, line) for seed in (1, 2) for place in (0, 1) for line in (b"a", b"b")}
    assert len(ranks) == 8
    assert holdout_rank(17, 3, b'{"text":"a"}\n') == 0x3AB7169AFF9138A6
