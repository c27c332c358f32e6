"""How rows are read, as a spec says it: bad settings are refused, and old specs keep their CIDs."""

import pytest
from pydantic import ValidationError

from atlas.spec.dataset import DatasetSpec


def spec(**changes):
    return DatasetSpec.model_validate({"source": "rows.csv", "shard_by": {"rows": 1}} | changes)


def test_later_settings_are_left_out_at_their_defaults():
    later = {"separator", "encoding", "bad_rows"}
    assert not later & spec().model_dump(mode="json").keys()
    assert later <= spec(separator=";", encoding="latin-1", bad_rows="skip").model_dump(mode="json").keys()


@pytest.mark.parametrize("written", ["tab", "\\t", "\t"])
def test_a_tab_can_be_named(written):
    assert spec(separator=written).separator == "\t"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"separator": ";;"}, "separator"),
        ({"separator": [";"]}, "separator"),
        ({"separator": '"'}, "cannot separate cells"),
        ({"encoding": "latin-99"}, "'latin-99' is not a known text encoding"),
        ({"encoding": "base64"}, "'base64' is not a known text encoding"),
        ({"bad_rows": "ignore"}, "bad_rows"),
        ({"labels": [True, False]}, "put it in quotes: YAML reads yes, no"),
    ],
)
def test_bad_settings_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        spec(**changes)


def test_numbers_are_labels():
    assert spec(labels=[1, 2, "3"]).labels == ["1", "2", "3"]
