"""Documents: one value, one canonical encoding, one CID."""

import json
from typing import Annotated

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from atlas.content.format.cid import cid_of_bytes
from atlas.documents.document import OMIT_DEFAULT, Document, Value
from atlas.errors import SpecError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


class Part(Value):
    number: int = Field(gt=0)


class Sample(Document):
    name: str
    share: float = 0.5
    count: int = 0
    parts: list[Part] = Field(default_factory=list)
    notes: dict[str, str] = Field(default_factory=dict)
    maybe: str | None = None


SAMPLES = st.builds(
    Sample,
    name=TEXT,
    share=st.floats(allow_nan=False, allow_infinity=False),
    count=st.integers(-(2**53) + 1, 2**53 - 1),
    parts=st.lists(st.builds(Part, number=st.integers(1, 9)), max_size=3),
    notes=st.dictionaries(TEXT, TEXT, max_size=3),
    maybe=st.none() | TEXT,
)


def test_the_canonical_bytes_are_these():
    sample = Sample(name="é", share=1e-3, count=3, parts=[Part(number=2)], notes={"b": "x", "a": "y"})
    expected = '{"count":3,"maybe":null,"name":"é","notes":{"a":"y","b":"x"},"parts":[{"number":2}],"share":0.001}'
    assert sample.canonical_bytes() == expected.encode()
    assert sample.cid == cid_of_bytes(expected.encode())


@given(SAMPLES)
def test_a_document_survives_its_encoding(sample):
    again = Sample.from_bytes(sample.canonical_bytes())
    assert again == sample
    assert again.cid == sample.cid


@given(SAMPLES, st.randoms())
def test_neither_order_nor_spacing_nor_omitted_defaults_change_the_identity(sample, random):
    items = list({**sample.model_dump(exclude_defaults=True), "name": sample.name}.items())
    random.shuffle(items)
    again = Sample.from_bytes(json.dumps(dict(items), indent=random.choice([None, 3])).encode())
    assert again.canonical_bytes() == sample.canonical_bytes()


@given(SAMPLES, SAMPLES)
def test_different_values_have_different_cids(first, second):
    assert (first == second) == (first.cid == second.cid)


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (0.0, -0.0), ("0.5", 0.5), (1e16, 10**16)])
def test_equal_numbers_have_one_encoding(one, other):
    assert Sample(name="x", share=one).cid == Sample(name="x", share=other).cid


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "document: Invalid JSON"),
        (b"\xff", "document: Invalid JSON"),
        (b"[]", "document: Input should be an object"),
        (b"{}", "name: Field required"),
        (b'{"name": 3}', r"name: Input should be a valid string \(found 3\)"),
        (b'{"name": "x", "other": 1}', r"other: Extra inputs are not permitted \(found 1\)"),
        (b'{"name": "x", "share": NaN}', "share: Input should be a finite number"),
        (b'{"name": "x", "parts": [{"number": 1}, {"number": 0}]}', r"parts.1.number: .* greater than 0 \(found 0\)"),
        (b'{"name": "x", "parts": [{"number": 1, "b": 2}]}', "parts.0.b: Extra inputs are not permitted"),
    ],
)
def test_each_bad_field_is_named(data, message):
    with pytest.raises(SpecError, match=f"This is not a valid Sample:\n{message}"):
        Sample.from_bytes(data)


def test_all_bad_fields_are_named_at_once():
    with pytest.raises(SpecError) as caught:
        Sample.from_bytes(b'{"share": "x", "count": 1.5}')
    assert [line.split(":")[0] for line in str(caught.value).splitlines()[1:]] == ["name", "share", "count"]


def test_a_long_wrong_value_is_cut():
    with pytest.raises(SpecError) as caught:
        Sample.from_bytes(json.dumps({"name": list(range(1000))}).encode())
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("changes", [{"count": 2**53}, {"name": "\ud800"}])
def test_what_canonical_json_cannot_hold_is_an_error_of_ours(changes):
    sample = Sample(**({"name": "x"} | changes))
    with pytest.raises(SpecError, match="This Sample has no canonical JSON"):
        sample.canonical_bytes()
    with pytest.raises(rfc8785.CanonicalizationError):
        rfc8785.dumps(sample.model_dump())


def test_a_document_cannot_be_changed():
    sample = Sample(name="x")
    with pytest.raises(ValidationError):
        sample.name = "y"


class LaterPart(Part):
    unit: Annotated[str, OMIT_DEFAULT] = "m"


class LaterSample(Sample):
    parts: list[LaterPart] = Field(default_factory=list)
    patience: Annotated[int, OMIT_DEFAULT] = Field(default=300, gt=0)
    tags: Annotated[list[str], OMIT_DEFAULT] = Field(default_factory=list)


@given(SAMPLES)
def test_a_field_that_is_added_later_leaves_the_cids_of_older_documents_alone(sample):
    later = LaterSample.from_bytes(sample.canonical_bytes())
    assert later.canonical_bytes() == sample.canonical_bytes()
    assert later.model_dump(mode="json", exclude={"name"}).keys() == sample.model_dump(exclude={"name"}).keys()


def test_a_later_field_that_is_not_at_its_default_is_part_of_the_cid():
    plain = LaterSample(name="a", parts=[LaterPart(number=1)])
    other = LaterSample(name="a", parts=[LaterPart(number=1, unit="s")], patience=5, tags=["x"])
    written = json.loads(other.canonical_bytes())
    assert (written["patience"], written["tags"], written["parts"]) == (5, ["x"], [{"number": 1, "unit": "s"}])
    assert LaterSample.from_bytes(other.canonical_bytes()) == other
    assert other.cid != plain.cid
