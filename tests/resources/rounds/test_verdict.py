import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.rounds.verdict import Verdict, compare, no_worse


@given(st.floats(0.01, 100), st.floats(0, 1), st.floats(0, 2))
def test_a_loss_may_exceed_its_base_by_the_tolerance_and_no_more(before, tolerance, share):
    after = before * (1 + share)
    if abs(share - tolerance) > 1e-9:
        assert no_worse(before, after, tolerance) == (share < tolerance)
    assert no_worse(before, before, 0.0)
    assert not no_worse(before, float("nan"), tolerance)


@pytest.mark.parametrize(
    ("base", "checkpoint", "expected"),
    [
        ({"loss": 0.5, "accuracy": 0.8}, {"loss": 0.5, "accuracy": 0.8}, Verdict("", True)),
        ({"loss": 0.5, "accuracy": 0.8}, {"loss": 0.4, "accuracy": 0.9}, Verdict("", True)),
        ({"loss": 0.5, "accuracy": 0.8}, {"loss": 0.505, "accuracy": 0.9}, Verdict("", True)),
        ({"loss": 0.5, "accuracy": 0.8}, {"loss": 0.3, "accuracy": 0.7}, Verdict("accuracy 0.8000 -> 0.7000", True)),
        ({"loss": 0.5, "accuracy": 0.8}, {"loss": 0.6, "accuracy": 0.9}, Verdict("loss 0.5000 -> 0.6000", False)),
        (
            {"loss": 0.5, "accuracy": 0.8},
            {"loss": 0.6, "accuracy": 0.7},
            Verdict("accuracy 0.8000 -> 0.7000, loss 0.5000 -> 0.6000", False),
        ),
        ({"loss": 2.0, "perplexity": 7.4}, {"loss": 1.9, "perplexity": 6.7}, Verdict("", True)),
        ({"loss": 2.0, "perplexity": 7.4}, {"loss": 2.02, "perplexity": 7.5}, Verdict("loss 2.0000 -> 2.0200", True)),
        ({"loss": 2.0, "perplexity": 7.4}, {"loss": 2.5, "perplexity": 12.2}, Verdict("loss 2.0000 -> 2.5000", False)),
    ],
)
def test_the_main_metric_counts_whatever_the_tolerance_says_about_the_loss(base, checkpoint, expected):
    assert compare(base, checkpoint, tolerance=0.02) == expected


@given(
    st.fixed_dictionaries({"loss": st.floats(0.01, 10), "accuracy": st.floats(0, 1)}),
    st.fixed_dictionaries({"loss": st.floats(0.01, 10), "accuracy": st.floats(0, 1)}),
    st.floats(0, 2),
)
def test_a_decline_of_the_accuracy_is_never_passed_over(base, checkpoint, tolerance):
    verdict = compare(base, checkpoint, tolerance)
    assert ("accuracy" in verdict.worse) == (checkpoint["accuracy"] < base["accuracy"])
    assert ("loss" in verdict.worse) == (not verdict.within_tolerance)
