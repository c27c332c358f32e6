"""A row is checked and encoded; a bad one is named."""

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from atlas.data.rows import encode_row
from atlas.dataset_spec import DatasetSpec, ShardRule
from atlas.errors import DataError

UNICODE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def spec(**changes):
    values = {"source": "x.csv", "labels": ["no", "yes"], "shard_by": ShardRule(column="place")} | changes
    return DatasetSpec(**values)


def row(**changes):
    return {"text": "some text", "label": "yes", "place": "here", "other": 3} | changes


def test_a_good_row():
    encoded = encode_row(row(), 1, spec())
    assert encoded == (b'{"label":"yes","text":"some text"}\n', "yes", "here", 2)


def test_other_column_names_do_not_reach_the_line():
    settings = spec(text_column="body", label_column="class", shard_by=ShardRule(rows=3))
    encoded = encode_row({"body": "words", "class": "no"}, 1, settings)
    assert encoded == (b'{"label":"no","text":"words"}\n', "no", None, 1)


def test_without_a_label_column_the_line_has_no_label():
    assert encode_row(row(label=None), 1, spec(label_column=None, labels=[])).line == b'{"text":"some text"}\n'


@given(text=UNICODE.filter(str.strip), label=UNICODE)
def test_the_line_is_canonical_json(text, label):
    line = encode_row(row(text=text, label=label), 1, spec(labels=[])).line
    assert line == rfc8785.dumps({"text": text, "label": label}) + b"\n"
    assert json.loads(line) == {"text": text, "label": label}
    assert line.count(b"\n") == 1


def test_whole_numbers_name_labels_and_shards():
    encoded = encode_row(row(label=1, place=2020), 1, spec(labels=["0", "1"]))
    assert (encoded.label, encoded.value) == ("1", "2020")


@pytest.mark.parametrize("column", ["text", "label", "place"])
def test_a_missing_column_is_named_with_the_found_ones(column):
    incomplete = row()
    del incomplete[column]
    found = ", ".join(map(repr, incomplete))
    with pytest.raises(DataError, match=f"Row 7 has no column {column!r}; found the columns {found}") as caught:
        encode_row(incomplete, 7, spec())
    assert "Set dataset." in str(caught.value)


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_an_empty_text_is_named_by_row(text):
    with pytest.raises(DataError, match="Row 7: the text column 'text' is empty"):
        encode_row(row(text=text), 7, spec())


@pytest.mark.parametrize("text", [None, 3, 1.5, ["a"], {"a": 1}, b"bytes"])
def test_a_text_that_is_no_text_is_named_by_row_and_type(text):
    with pytest.raises(DataError, match=f"Row 7: .* must hold text, found {type(text).__name__}"):
        encode_row(row(text=text), 7, spec())


@pytest.mark.parametrize("label", ["Yes", " yes", "maybe", 1])
def test_a_label_outside_the_set_is_named_with_row_and_allowed_ones(label):
    with pytest.raises(DataError, match=f"Row 7 has the label '{label}'; allowed are 'no', 'yes'"):
        encode_row(row(label=label), 7, spec())


@pytest.mark.parametrize("column", ["label", "place"])
@pytest.mark.parametrize("value", [None, "", 1.0, ["yes"]])
def test_a_label_or_shard_value_must_be_a_name(column, value):
    with pytest.raises(DataError, match=f"Row 7: the column '{column}' must hold text or a whole number, found"):
        encode_row(row(**{column: value}), 7, spec())


def test_half_a_surrogate_pair_is_refused():
    with pytest.raises(DataError, match="Row 7 is not valid Unicode"):
        encode_row(row(text="broken \ud83d emoji"), 7, spec())
