import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.training.change_errors import change_errors, paired_error
from atlas.training.tasks.batches import RowScore


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=50))
def test_rows_of_one_target_give_the_standard_error_of_a_mean(changes):
    expected = np.std(changes, ddof=1) / math.sqrt(len(changes))
    assert paired_error(changes, [1] * len(changes)) == pytest.approx(expected, abs=1e-12)


def test_the_error_of_a_change_per_token_is_how_far_samples_of_rows_spread():
    random = np.random.default_rng(3)
    sizes = random.integers(5, 50, 4000)
    changes = 0.1 * sizes + random.normal(0, 2, 4000)
    samples = [random.integers(0, 4000, 200) for _ in range(2000)]
    spread = np.std([changes[rows].sum() / sizes[rows].sum() for rows in samples])
    errors = [paired_error(list(changes[rows]), list(sizes[rows])) for rows in samples]
    assert np.mean(errors) == pytest.approx(spread, rel=0.05)


def test_the_same_answers_on_the_same_rows_leave_no_doubt():
    scores = [RowScore(0.5, 1, predicted, 1) for predicted in (0, 1, 1)]
    assert change_errors(scores, scores) == {"loss_change_error": 0, "accuracy_change_error": 0}


def test_one_changed_answer_among_four():
    before = [RowScore(0.5, 1, 1, 1)] * 4
    after = [RowScore(0.5, 1, 0, 1), *before[1:]]
    found = change_errors(before, after)["accuracy_change_error"]
    assert found == pytest.approx(np.std([1, 0, 0, 0], ddof=1) / 2)


def test_text_has_a_loss_alone():
    before, after = [RowScore(3.0, 4), RowScore(9.0, 9)], [RowScore(2.0, 4), RowScore(8.0, 9)]
    assert change_errors(before, after).keys() == {"loss_change_error"}


def test_one_row_has_no_standard_error():
    assert change_errors([RowScore(0.5, 1, 1, 1)], [RowScore(0.4, 1, 1, 1)]) == {}
