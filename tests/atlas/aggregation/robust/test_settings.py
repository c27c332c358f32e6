import pytest
from pydantic import ValidationError

from atlas.aggregation.robust.settings import RobustSpec


def test_a_bare_name_stands_for_the_rule_with_its_defaults():
    assert RobustSpec.model_validate("median") == RobustSpec(rule="median")


@pytest.mark.parametrize(("tolerated", "updates", "false"), [(0.3, 10, 3), (0.29, 100, 29), (0.3, 3, 0), (0.49, 2, 0)])
def test_how_many_may_be_false(tolerated, updates, false):
    assert RobustSpec(tolerated=tolerated).false_among(updates) == false


def test_buckets_that_would_mostly_be_false_are_refused():
    with pytest.raises(ValidationError, match=r"lower tolerated below 0\.25"):
        RobustSpec(bucket_size=2)
    assert RobustSpec(bucket_size=2, tolerated=0.2).bucket_size == 2
