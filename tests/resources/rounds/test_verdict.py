import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.rounds.verdict import compare, no_worse


@given(st.floats(0.01, 100), st.floats(0, 1), st.floats(0, 2))
def test_a_loss_may_exceed_its_base_by_the_tolerance_and_no_more(before, tolerance, share):
    after = before * (1 + share)
    if abs(share - tolerance) > 1e-9:
        assert no_worse(before, after, tolerance) == (share < tolerance)
    assert no_worse(before, before, 0.0)
    assert not no_worse(before, float("nan"), tolerance)


CLASSIFIER = {"loss": 0.5, "accuracy": 0.8}
CERTAIN = {"loss_change_error": 0.01, "accuracy_change_error": 0.01}
UNCERTAIN = {"loss_change_error": 0.2, "accuracy_change_error": 0.06}


@pytest.mark.parametrize(
    ("base", "checkpoint", "worse", "failed"),
    [
        (CLASSIFIER, {"loss": 0.5, "accuracy": 0.8} | CERTAIN, "", False),
        (CLASSIFIER, {"loss": 0.4, "accuracy": 0.9} | CERTAIN, "", False),
        (CLASSIFIER, {"loss": 0.505, "accuracy": 0.9} | CERTAIN, "", False),
        (
            CLASSIFIER,
            {"loss": 0.3, "accuracy": 0.7} | CERTAIN,
            "accuracy 0.8000 -> 0.7000, standard error 0.0100",
            True,
        ),
        (
            CLASSIFIER,
            {"loss": 0.3, "accuracy": 0.7} | UNCERTAIN,
            "accuracy 0.8000 -> 0.7000, standard error 0.0600",
            False,
        ),
        (CLASSIFIER, {"loss": 0.6, "accuracy": 0.9} | CERTAIN, "loss 0.5000 -> 0.6000, standard error 0.0100", True),
        (CLASSIFIER, {"loss": 0.6, "accuracy": 0.9} | UNCERTAIN, "loss 0.5000 -> 0.6000, standard error 0.2000", False),
        ({"loss": 2.0}, {"loss": 1.9, "loss_change_error": 0.1}, "", False),
        (
            {"loss": 2.0},
            {"loss": 2.02, "loss_change_error": 0.001},
            "loss 2.0000 -> 2.0200, standard error 0.0010",
            False,
        ),
        (
            {"loss": 2.0},
            {"loss": 2.5, "loss_change_error": 0.001},
            "loss 2.0000 -> 2.5000, standard error 0.0010",
            True,
        ),
    ],
)
def test_a_fall_fails_if_chance_does_not_explain_it(base, checkpoint, worse, failed):
    verdict = compare(base, checkpoint, tolerance=0.02)
    assert (verdict.worse, verdict.failed) == (worse, failed)
    assert (verdict.sentence is None) == (worse == "")


@pytest.mark.parametrize(
    ("base", "checkpoint", "worse", "failed"),
    [
        (CLASSIFIER, {"loss": 0.3, "accuracy": 0.7}, "accuracy 0.8000 -> 0.7000", False),
        (CLASSIFIER, {"loss": 0.6, "accuracy": 0.7}, "accuracy 0.8000 -> 0.7000, loss 0.5000 -> 0.6000", True),
        ({"loss": 2.0}, {"loss": 2.02}, "loss 2.0000 -> 2.0200", False),
    ],
)
def test_without_standard_errors_the_tolerance_alone_decides(base, checkpoint, worse, failed):
    verdict = compare(base, checkpoint, tolerance=0.02)
    assert (verdict.worse, verdict.failed) == (worse, failed)


@given(
    st.fixed_dictionaries({"loss": st.floats(0.01, 10), "accuracy": st.floats(0, 1)}),
    st.fixed_dictionaries(
        {"loss": st.floats(0.01, 10), "accuracy": st.floats(0, 1)},
        optional={"accuracy_change_error": st.floats(0, 1), "loss_change_error": st.floats(0, 1)},
    ),
    st.floats(0, 2),
)
def test_a_decline_of_the_accuracy_is_never_ignored(base, checkpoint, tolerance):
    verdict = compare(base, checkpoint, tolerance)
    assert ("accuracy" in verdict.worse) == (checkpoint["accuracy"] < base["accuracy"])
    assert ("loss" in verdict.worse) == (not no_worse(base["loss"], checkpoint["loss"], tolerance))
    assert not verdict.failed or verdict.declines
