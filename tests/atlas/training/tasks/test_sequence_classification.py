import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.training.tasks.batches import RowScore
from atlas.training.tasks.sequence_classification import macro_f1, metrics


def reference_macro_f1(pairs: list[tuple[int, int]]) -> Fraction:
    """By precision and recall, as the textbook has it."""
    scores = []
    for index in {index for pair in pairs for index in pair}:
        hits = sum(pair == (index, index) for pair in pairs)
        true, guessed = sum(pair[0] == index for pair in pairs), sum(pair[1] == index for pair in pairs)
        precision = Fraction(hits, guessed) if guessed else Fraction(0)
        recall = Fraction(hits, true) if true else Fraction(0)
        scores.append(2 * precision * recall / (precision + recall) if hits else Fraction(0))
    return sum(scores, Fraction(0)) / len(scores)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_macro_f1_is_the_mean_of_the_harmonic_means(pairs: list[tuple[int, int]]) -> None:
    assert macro_f1(pairs) == pytest.approx(float(reference_macro_f1(pairs)), abs=1e-12)


def test_metrics_of_four_rows_by_hand() -> None:
    scores = [
        RowScore(0.1, 1, predicted=0, expected=0),
        RowScore(0.2, 1, predicted=1, expected=1),
        RowScore(2.0, 1, predicted=0, expected=1),
        RowScore(0.1, 1, predicted=1, expected=1),
    ]
    found = metrics(scores)
    # class 0: precision 1/2, recall 1, F1 2/3; class 1: precision 1, recall 2/3, F1 4/5
    assert math.isclose(found["loss"], 0.6)
    assert found["accuracy"] == 0.75
    assert math.isclose(found["macro_f1"], (2 / 3 + 4 / 5) / 2)
