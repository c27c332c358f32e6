"""A row is checked and encoded; what is wrong with a bad one is said."""

import json
from decimal import Decimal

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from atlas.data.bad_rows import BadRow
from atlas.data.rows import RowEncoder, text_key
from atlas.spec.partition_names import name_of

UNICODE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def encode(row, **changes):
    settings = {"text_column": "text", "label_column": "label", "labels": ["no", "yes"], "shard_column": "place"}
    return RowEncoder(**settings | changes).encode(row)


def row(**changes):
    return {"text": "some text", "label": "yes", "place": "here", "other": 3} | changes


def test_a_good_row():
    assert encode(row())[:4] == (b'{"label":"yes","text":"some text"}\n', "yes", "here", 2)


def test_other_column_names_do_not_reach_the_line():
    encoded = encode({"body": "words", "class": "no"}, text_column="body", label_column="class", shard_column=None)
    assert encoded[:4] == (b'{"label":"no","text":"words"}\n', "no", None, 1)


def test_without_a_label_column_the_line_has_no_label():
    assert encode(row(label=None), label_column=None, labels=[]).line == b'{"text":"some text"}\n'


@given(text=UNICODE.filter(str.strip), label=UNICODE)
def test_the_line_is_canonical_json(text, label):
    line = encode(row(text=text, label=label), labels=[]).line
    assert line == rfc8785.dumps({"text": text, "label": name_of(label)}) + b"\n"
    assert json.loads(line)["text"] == text
    assert line.count(b"\n") == 1


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ([True, "true", "True", "TRUE"], "true"),
        ([False, "false", "False", "FALSE"], "false"),
        ([1, 1.0, "1", "1.0", "1.00", Decimal("1.0")], "1"),
        ([0, -0.0, "0.0"], "0"),
        ([-3, -3.0, "-3.0"], "-3"),
        ([2**53 + 1], str(2**53 + 1)),
        (["caf\u00e9", "cafe\u0301"], "caf\u00e9"),
        (["1.10"], "1.10"),
        (["\u0663"], "\u0663"),
        ([None, "", 0.5, float("nan"), float("inf"), 1e300, Decimal("NaN"), Decimal("0.5"), ["x"], {}, 10**5000], None),
    ],
)
def test_one_rule_names_labels_in_every_format(values, name):
    assert [name_of(value) for value in values] == [name] * len(values)


@pytest.mark.parametrize("listed", ["true", "True"])
@pytest.mark.parametrize("value", [True, "true", "True"])
def test_a_label_is_written_as_the_settings_spell_it(listed, value):
    encoded = encode(row(label=value), labels=[listed, "False"])
    assert encoded.label == listed
    assert json.loads(encoded.line)["label"] == listed


def test_a_label_that_is_listed_as_it_is_keeps_its_spelling():
    assert [encode(row(label=label), labels=["1", "1.0"]).label for label in ("1", "1.0")] == ["1", "1.0"]
    assert encode(row(label="cafe\u0301"), labels=["caf\u00e9", "x"]).label == "caf\u00e9"
    assert encode(row(label="caf\u00e9"), labels=["cafe\u0301", "x"]).label == "cafe\u0301"


def test_numbers_and_truth_values_name_shards():
    assert [encode(row(place=value)).value for value in (2020, 2020.0, True)] == ["2020", "2020", "true"]


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_an_empty_text_is_refused(text):
    with pytest.raises(BadRow, match="the text column 'text' is empty"):
        encode(row(text=text))


@pytest.mark.parametrize("text", [3, 1.5, ["a"], {"a": 1}, b"bytes"])
def test_a_text_that_is_no_text_is_refused_by_type(text):
    with pytest.raises(BadRow, match=f"must hold text, found {type(text).__name__}"):
        encode(row(text=text))
    with pytest.raises(BadRow, match="must hold text, found nothing"):
        encode(row(text=None))
    with pytest.raises(BadRow, match="must hold text, found a huge int"):
        encode(row(text=10**5000))


@pytest.mark.parametrize("label", ["Yes", " yes", "maybe", 1])
def test_a_label_outside_the_set_is_refused_with_the_allowed_ones(label):
    with pytest.raises(BadRow, match=f"has the label '{label}'; allowed are 'no', 'yes'"):
        encode(row(label=label))


@pytest.mark.parametrize("column", ["label", "place"])
@pytest.mark.parametrize("value", [None, "", 1.5, ["yes"]])
def test_a_label_or_shard_value_must_be_a_name(column, value):
    with pytest.raises(BadRow, match=f"the column '{column}' must hold text, a whole number or true/false, found"):
        encode(row(**{column: value}))


@pytest.mark.parametrize("column", ["text", "label", "place"])
def test_half_a_surrogate_pair_is_refused_in_every_column_that_is_used(column):
    with pytest.raises(BadRow, match=rf"the column '{column}' holds half a surrogate pair, U\+D83D"):
        encode(row(**{column: "broken \ud83d emoji"}), labels=[])
    with pytest.raises(BadRow, match=f"the column '{column}' holds the byte 0xE9, not UTF-8"):
        encode(row(**{column: b"caf\xe9".decode(errors="surrogateescape")}), labels=[])


def test_texts_that_look_equal_have_one_key():
    assert text_key("caf\u00e9") == text_key("cafe\u0301") != text_key("cafe")
