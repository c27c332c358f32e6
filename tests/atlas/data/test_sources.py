"""Readers: good files give their rows, bad ones an error that says where."""

import datetime as dt
import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.data.sources.read import read_source
from atlas.errors import DataError

ROWS = [
    {"text": "plain", "label": "yes"},
    {"text": 'comma, "quote"\nand line', "label": "no"},
    {"text": "naïve 東京 😀", "label": "yes"},
]


@pytest.fixture
def read(tmp_path):
    return lambda source: list(read_source(str(source), tmp_path / "cache"))


def write(path, data):
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


CSV = 'text,label\r\nplain,yes\r\n"comma, ""quote""\nand line",no\r\n\r\nnaïve 東京 😀,yes\r\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_csv(read, tmp_path, encoding):
    assert read(write(tmp_path / "rows.csv", CSV.encode(encoding))) == ROWS


def test_csv_with_a_text_longer_than_the_module_s_default_limit(read, tmp_path):
    assert read(write(tmp_path / "rows.csv", "text\n" + "x" * 200_000 + "\n")) == [{"text": "x" * 200_000}]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("text,label\na,b\nc\n", r"Row 2 of .*rows.csv \(line 3\) has 1 cells, expected 2: text, label"),
        ("text,label\na,b,c\n", r"Row 1 of .*rows.csv \(line 2\) has 3 cells, expected 2: text, label"),
        ("text,text\na,b\n", "rows.csv names a column twice: text, text"),
        (b"text\n\xff\xfe\n", "Cannot read .*rows.csv as CSV in UTF-8"),
        ('text\n"open\n', "Cannot read .*rows.csv as CSV in UTF-8"),
    ],
)
def test_malformed_csv(read, tmp_path, data, message):
    with pytest.raises(DataError, match=message):
        read(write(tmp_path / "rows.csv", data))


def test_jsonl(read, tmp_path):
    lines = "\n\n".join(json.dumps(row) for row in ROWS)
    assert read(write(tmp_path / "rows.jsonl", lines)) == ROWS


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('{"text": "a"}\n{"text": \n', "Line 2 of .*rows.jsonl is not JSON in UTF-8"),
        ('{"text": "a"}\n\n["text"]\n', "Line 3 of .*rows.jsonl must be a JSON object, found list"),
        (b'{"text": "\xff"}\n', "Line 1 of .*rows.jsonl is not JSON in UTF-8"),
    ],
)
def test_malformed_jsonl(read, tmp_path, data, message):
    with pytest.raises(DataError, match=message):
        read(write(tmp_path / "rows.jsonl", data))


def test_parquet(read, tmp_path):
    rows = [row | {"number": number, "day": dt.date(2024, 1, 2)} for number, row in enumerate(ROWS * 1000)]
    pa.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    assert read(tmp_path / "rows.parquet") == rows


def test_malformed_parquet(read, tmp_path):
    with pytest.raises(DataError, match=r"Cannot read .*rows.parquet as Parquet"):
        read(write(tmp_path / "rows.parquet", "not parquet"))


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("form", ["{kind}:{path}", "{path}.{kind}"])
def test_a_missing_file_is_named(read, tmp_path, kind, form):
    with pytest.raises(DataError, match=r"Cannot read .*absent"):
        read(form.format(kind=kind, path=tmp_path / "absent"))


def test_the_kind_can_be_said_and_the_suffix_may_be_in_capitals(read, tmp_path):
    expected = [{"text": "a"}]
    assert read(f"csv:{write(tmp_path / 'rows.txt', 'text' + chr(10) + 'a')}") == expected
    assert read(f"jsonl:{write(tmp_path / 'rows.csv', json.dumps(expected[0]))}") == expected
    assert read(write(tmp_path / "with:colon.CSV", "text\na\n")) == expected


@pytest.mark.parametrize("source", ["", "rows", "rows.txt", "package:", "package:unknown.csv", "gopher:x", "rows.xlsx"])
def test_an_unknown_source_lists_the_known_ones(read, source):
    with pytest.raises(DataError, match="package:vader-sentiment, hub:ORG/NAME") as caught:
        read(source)
    assert repr(source) in str(caught.value)


@given(cells=st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.text("ab", min_size=1))))
def test_csv_and_jsonl_agree(cells, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in cells]
    rows = [dict(zip(("text", "label"), row, strict=True)) for row in cells]
    csv = write(folder / "agree.csv", "\r\n".join(["text,label", *quoted]))
    jsonl = write(folder / "agree.jsonl", "\n".join(json.dumps(row) for row in rows))
    assert list(read_source(str(csv), folder)) == list(read_source(str(jsonl), folder)) == rows


HUB = """
import json, sys
from pathlib import Path
from atlas.data.sources.read import read_source
from atlas.errors import DataError
for source in sys.argv[1:]:
    try:
        print(json.dumps(list(read_source(source, Path("cache")))))
    except DataError as error:
        print(json.dumps(str(error)))
"""


@pytest.mark.slow
def test_hub(tmp_path, pytestconfig):
    """`datasets` reads a folder of the same name as it reads the hub; a name without one needs the hub."""
    import datasets

    folder = tmp_path / "acme" / "reviews"
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    classes = tmp_path / "acme" / "classes"
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    table = datasets.Dataset.from_list([{"text": "a", "label": 1}, {"text": "b", "label": -1}], features=features)
    classes.mkdir()
    table.to_parquet(classes / "test.parquet")
    (tmp_path / "acme" / "scripted").mkdir()
    (tmp_path / "acme" / "scripted" / "scripted.py").write_text("open('executed', 'w')")
    sources = ["hub:acme/reviews", "hub:acme/reviews:train[1:]", "hub:acme/classes:test", "hub:acme/reviews:nope"]
    sources += ["hub:acme/absent", "hub:acme/scripted", "hub:../acme/reviews", "hub:"]
    answer = subprocess.run(
        [sys.executable, "-c", HUB, *sources],
        cwd=tmp_path,
        env=os.environ
        | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf"), "PYTHONPATH": str(pytestconfig.rootpath)},
        stdout=subprocess.PIPE,
        check=True,
    )
    answers = [json.loads(line) for line in answer.stdout.splitlines()]
    assert answers[:3] == [ROWS, ROWS[1:], [{"text": "a", "label": "yes"}, {"text": "b", "label": -1}]]
    assert answers[3].startswith("Cannot load hub:acme/reviews:nope: Unknown split")
    assert answers[4].startswith("Cannot load hub:acme/absent: ")
    assert "HF_HUB_OFFLINE; or download the data" in answers[4]
    assert answers[5].startswith("Cannot load hub:acme/scripted: ")
    assert not (tmp_path / "executed").exists()
    assert "is malformed. Expected hub:ORG/NAME" in answers[6]
    assert "is malformed. Expected hub:ORG/NAME" in answers[7]


def test_reading_imports_no_heavy_library():
    code = (
        "import sys, atlas.data.prepare; "
        "print([name for name in ('torch', 'datasets', 'pyarrow', 'pandas') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout == b"[]\n"
