import pytest

from assets.shard_adapter import shard_of_round
from atlas.errors import SpecError


def test_a_shard_of_the_rounds_own_job_is_found():
    assert shard_of_round("sentiment-r0002", "sentiment-s003") == "s003"


def test_a_shard_of_another_job_is_refused_by_name():
    with pytest.raises(SpecError, match=r"job 'sentiment'.* job 'other'"):
        shard_of_round("sentiment-r0002", "other-s003")
