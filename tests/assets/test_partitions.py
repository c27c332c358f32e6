import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.partitions import parse_round_key, parse_shard_key, round_key, round_shard_key, shard_key
from atlas.errors import SpecError

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


@given(NAMES, st.integers(1, 9999))
def test_a_round_key_names_its_job_and_round(job, number):
    assert parse_round_key(round_key(job, number)) == (job, number)


@given(NAMES, st.integers(0, 99_999))
def test_a_shard_key_names_its_job_and_shard(job, index):
    assert parse_shard_key(shard_key(job, f"s{index:03d}")) == (job, f"s{index:03d}")


def test_the_rounds_of_a_job_sort_in_order():
    keys = [round_key("sentiment", number) for number in range(1, 1200)]
    assert keys == sorted(keys)


def test_an_adapter_is_named_by_round_and_shard():
    assert str(round_shard_key("sentiment", 2, "s001")) == "sentiment-r0002|sentiment-s001"


@pytest.mark.parametrize(
    "key",
    [
        "r0001",
        "sentiment",
        "sentiment-r0000",
        "sentiment-r1",
        "Sentiment-r0001",
        "",
        "sentiment-r\u0660\u0660\u0660\u0661",
    ],
)
def test_a_malformed_round_key_says_what_a_round_is_named(key):
    with pytest.raises(SpecError, match="JOB-rNNNN"):
        parse_round_key(key)


@pytest.mark.parametrize("key", ["s000", "sentiment-s1", "sentiment-r0001", "sentiment-s\u0660\u0660\u0661"])
def test_a_malformed_shard_key_says_what_a_shard_is_named(key):
    with pytest.raises(SpecError, match="JOB-sNNN"):
        parse_shard_key(key)
