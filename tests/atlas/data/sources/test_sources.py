"""Readers: good files give the wanted columns of their rows, bad rows say what is wrong, bad files where."""

import csv
import datetime as dt
import gzip
import json
import os
import subprocess
import sys
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.data.sources.read import read_source
from atlas.data.sources.source_row import Wanted
from atlas.errors import DataError
from atlas.spec.partition_names import name_of

ROWS = [
    {"text": "plain", "label": "yes"},
    {"text": 'comma, "quote"\nand line', "label": "no"},
    {"text": "naïve 東京 😀", "label": "yes"},
]
COLUMNS = {"text": "text_column", "label": "label_column"}


@pytest.fixture
def read(tmp_path):
    """The rows of a source: their values, or what is wrong with them and where."""

    def rows(source, columns=COLUMNS, **settings):
        found = read_source(str(source), tmp_path / "cache", Wanted(columns, **settings))
        return [f"{row.place.of(row.number)}: {row.problem}" if row.problem else dict(row.values) for row in found]

    return rows


def write(path, data):
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def write_parquet(path, table):
    pa.parquet.write_table(pa.table(table) if isinstance(table, dict) else table, path)
    return path


def csv_of(rows, separator=","):
    def quoted(cell):
        return '"' + cell.replace('"', '""') + '"'

    lines = [separator.join(map(quoted, row.values())) for row in rows]
    return "\r\n".join([separator.join(rows[0]), *lines]) + "\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("separator", list(",;\t|"))
def test_csv_in_any_separator_and_marked_encoding(read, tmp_path, encoding, separator):
    assert read(write(tmp_path / "rows.csv", csv_of(ROWS, separator).encode(encoding))) == ROWS


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16-le", "utf-16-be", "gb18030"])
def test_an_encoding_without_a_mark_is_read_when_it_is_named(read, tmp_path, encoding):
    rows = [{"text": "naïve; größer, élan", "label": "yes"}]
    for name, data in (("rows.csv", csv_of(rows)), ("rows.jsonl", json.dumps(rows[0], ensure_ascii=False))):
        assert read(write(tmp_path / name, data.encode(encoding)), encoding=encoding) == rows


def test_bytes_that_are_not_utf_8_make_the_text_bad_and_not_the_other_columns(read, tmp_path):
    for name, data in (
        ("rows.csv", b"text,label,x\nok,yes,\xe9\n"),
        ("rows.jsonl", b'{"text":"ok","label":"yes","x":"\xe9"}'),
    ):
        assert read(write(tmp_path / name, data)) == [{"text": "ok", "label": "yes"}]
    (row,) = read(write(tmp_path / "rows.csv", b"text,label\ncaf\xe9,yes\n"))
    assert row["text"] == "caf\udce9", "which no row can be encoded with"


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        (b"\xef\xbb\xbftext,label\n", {"encoding": "latin-1"}, "byte order mark of UTF-8, but `encoding` is latin-1"),
        ("text,label\na,b\n".encode("utf-16-le"), {}, "every other byte is zero.*utf-16-le"),
        (b"PK\x03\x04\x14", {}, "a zip file or a spreadsheet"),
        (b"text,label\n\x81,b\n", {"encoding": "cp1252"}, "Cannot read .*rows.csv as CSV.*Set `encoding`"),
        (gzip.compress(b"text,label\n" + os.urandom(999).hex().encode())[:-300], {}, "truncated or damaged"),
    ],
)
def test_a_file_in_another_encoding_than_said_is_named(read, tmp_path, data, settings, message):
    with pytest.raises(DataError, match=message):
        read(write(tmp_path / "rows.csv", data), **settings)


def test_a_single_column_needs_no_separator(read, tmp_path):
    lines = "text\nplain; with | marks\n"
    assert read(write(tmp_path / "rows.csv", lines), {"text": "text_column"}) == [{"text": "plain; with | marks"}]
    assert read(write(tmp_path / "t.csv", "text\ncomma, here\n"), {"text": "text_column"}, separator="\t") == [
        {"text": "comma, here"}
    ]


def test_the_separator_is_found_by_the_columns_that_are_used(read, tmp_path):
    """Texts full of another separator do not mislead."""
    rows = "".join(f"a, b, c, d {number};yes\n" for number in range(60))
    assert read(write(tmp_path / "rows.csv", "text;label\n" + rows))[59] == {"text": "a, b, c, d 59", "label": "yes"}


def test_csv_with_a_text_longer_than_the_module_s_default_limit(read, tmp_path):
    data = "text,label\n" + "x" * 200_000 + ",y\n"
    assert read(write(tmp_path / "rows.csv", data)) == [{"text": "x" * 200_000, "label": "y"}]


def test_twin_columns_that_nobody_uses_do_no_harm(read, tmp_path):
    assert read(write(tmp_path / "rows.csv", "x,text,x,label,,\n1,a,2,b,,\n")) == [{"text": "a", "label": "b"}]
    assert read(write(tmp_path / "rows.jsonl", '{"x":1,"text":"a","x":{"text":1,"text":2},"label":"b"}')) == [
        {"text": "a", "label": "b"}
    ]
    table = pa.Table.from_arrays(
        [pa.array([1]), pa.array(["a"]), pa.array([2]), pa.array(["b"])], ["x", "text", "x", "label"]
    )
    assert read(write_parquet(tmp_path / "rows.parquet", table)) == [{"text": "a", "label": "b"}]


def test_a_column_name_is_found_in_another_normal_form(read, tmp_path):
    for name, data in (
        ("rows.csv", "caf\u00e9\na\n"),
        ("rows.jsonl", '{"caf\u00e9":"a"}'),
        ("rows.json", '[{"caf\u00e9":"a"}]'),
    ):
        assert read(write(tmp_path / name, data), {"cafe\u0301": "text_column"}) == [{"cafe\u0301": "a"}]


@pytest.mark.parametrize(
    ("data", "bad"),
    [
        ("text,label\na,b\nc\nd,e\n", "line 3: has 1 cell, expected 2: text, label; check quotes"),
        ("text,label\n\n'a,b,c'\nd,e\n", "line 3: has 3 cells, expected 2: text, label; check quotes"),
        ('text,label\n"two\nlines",b\nc\nd,e\n', "line 4: has 1 cell, expected 2: text, label; check quotes"),
        ('text,label\n"a"b,c\nd,e\n', "line 2: is not valid CSV: ',' expected after '\"'"),
    ],
)
def test_a_malformed_row_of_csv_is_bad_and_the_next_is_read(read, tmp_path, data, bad):
    assert read(write(tmp_path / "rows.csv", data))[-2:] == [bad, {"text": "d", "label": "e"}]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("text,text,label\na,b,c\n", "rows.csv has 2 columns 'text'"),
        ("", "rows.csv is empty; expected a first line that names the columns"),
        ("I like it,1\nnot me,0\n", r"no column 'text'; found the columns 'I like it', '1'.*header needs one"),
        (
            "txt,label\na,b\n",
            r"no column 'text'; found the columns 'txt', 'label' \(did you mean 'txt'\?\). Set dataset.text_column",
        ),
        ('text,label\na,b\n"open,c\nd,e\nf,g\n', "Line 3 of .*rows.csv opens a quote that is not closed in the"),
    ],
)
def test_a_csv_file_that_cannot_be_read_is_named(read, tmp_path, data, message):
    with pytest.raises(DataError, match=message):
        read(write(tmp_path / "rows.csv", data))


def test_a_lost_quote_does_not_take_the_file_into_memory(read, tmp_path, monkeypatch):
    monkeypatch.setattr("atlas.data.sources.csv_file.LONGEST_FIELD", 1000)
    with pytest.raises(
        DataError, match=r"Line 2 of .* opens a quote that is not closed.*field larger than field limit"
    ):
        read(write(tmp_path / "rows.csv", 'text,label\n"a,b\n' + "c,d\n" * 1000))


def test_jsonl(read, tmp_path):
    lines = "\n\n".join(json.dumps(row) for row in ROWS)
    assert read(write(tmp_path / "rows.jsonl", lines)) == ROWS
    assert read(write(tmp_path / "rows.jsonl", lines.encode("utf-8-sig"))) == ROWS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("text", [json.dumps(ROWS), json.dumps(ROWS, indent=1), "\n".join(map(json.dumps, ROWS))])
@pytest.mark.parametrize("piece", [1, 7, 2**20])
def test_json_is_an_array_or_objects_one_after_the_other(read, tmp_path, monkeypatch, encoding, text, piece):
    monkeypatch.setattr("atlas.data.sources.json_file.PIECE", piece)
    assert read(write(tmp_path / "rows.json", text.encode(encoding))) == ROWS


DEEP = "[" * 100_000 + "]" * 100_000
GOOD = '{"text":"a","label":"b"}'


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"text": ', "is not JSON: Expecting value"),
        ('["text"]', "must be a JSON object, found list"),
        ('{"text":"a","label":"b","text":"c"}', "has the key 'text' more than once"),
        ('{"text":"a"}', "has no column 'label'; found the columns 'text'"),
        ('{"text":"a","label":"b","x":' + DEEP + "}", "is nested too deeply"),
    ],
)
def test_a_malformed_line_of_jsonl_is_bad_and_the_next_is_read(read, tmp_path, line, problem):
    bad, good = read(write(tmp_path / "rows.jsonl", f"{line}\n\n{GOOD}\n"))
    assert bad.startswith(f"line 1: {problem}")
    assert good == {"text": "a", "label": "b"}


def test_a_number_of_any_size_does_no_harm(read, tmp_path):
    huge = "9" * 5000
    line = f'{{"text":"a","label":"b","x":{huge}}}'
    assert read(write(tmp_path / "rows.jsonl", line)) == [{"text": "a", "label": "b"}]
    (row,) = read(write(tmp_path / "rows.jsonl", f'{{"text":"a","label":{huge}}}'))
    assert name_of(row["label"]) is None, "which no row can have as its label"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (f"[{GOOD}", "truncated"),
        (f"[{GOOD} {GOOD}]", "expected a comma or ] after row 1"),
        (f"[{GOOD}] x", "text after the end of its array"),
        (f'[{GOOD}, {{"text": ]', "Row 2 of .* is not JSON"),
        (f"[{GOOD}, {DEEP}]", "Row 2 of .* is nested too deeply"),
    ],
)
def test_malformed_json_is_named_by_row(read, tmp_path, data, message):
    with pytest.raises(DataError, match=message):
        read(write(tmp_path / "rows.json", data))


def test_json_rows_that_are_no_rows_are_bad(read, tmp_path):
    assert read(write(tmp_path / "rows.json", f"[1, {GOOD}, null]")) == [
        "row 1: must be a JSON object, found int",
        {"text": "a", "label": "b"},
        "row 3: must be a JSON object, found NoneType",
    ]
    assert read(write(tmp_path / "rows.json", "[]")) == []


def test_a_line_without_end_does_not_fill_the_memory(read, tmp_path, monkeypatch):
    monkeypatch.setattr("atlas.data.sources.text_file.LONGEST_LINE", 1000)
    for name in ("rows.jsonl", "rows.csv"):
        with pytest.raises(DataError, match=r"Line 1 of .* has more than 1,000 characters"):
            read(write(tmp_path / name, "x" * 2000))


def test_parquet_in_the_types_that_text_and_labels_come_in(read, tmp_path):
    texts, labels = [row["text"] for row in ROWS * 1000], [row["label"] for row in ROWS * 1000]
    for kind in (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        table = {"text": pa.array(texts, pa.string()).cast(kind), "label": pa.array(labels).cast(kind)}
        assert read(write_parquet(tmp_path / "rows.parquet", table)) == ROWS * 1000
    for array in (
        pa.array([True, None]),
        pa.array([1, 2], pa.int8()),
        pa.array([1.0, None]),
        pa.array([Decimal("1.0"), None]),
    ):
        table = {"text": ["a", None], "label": array}
        assert [row["label"] for row in read(write_parquet(tmp_path / "rows.parquet", table))] == array.to_pylist()


def test_odd_columns_of_parquet_that_nobody_uses_do_no_harm(read, tmp_path):
    table = {
        "expires": pa.array([2**62], pa.timestamp("us")),
        "text": ["a"],
        "nested": [{"text": 1, "deep": [{"label": Decimal("1.5")}]}],
        "label": ["b"],
        "raw": [b"\xff"],
    }
    assert read(write_parquet(tmp_path / "rows.parquet", table)) == [{"text": "a", "label": "b"}]


@pytest.mark.parametrize(
    ("column", "values", "found"),
    [
        ("text", [["a"]], "list<.*>, expected text"),
        ("text", [b"a"], "binary, expected text"),
        ("text", [1], "int64, expected text"),
        ("label", [["a"]], "list<.*>, expected text, whole numbers or truth values"),
        ("label", [dt.date(2024, 1, 2)], "date32.*, expected text, whole"),
    ],
)
def test_a_parquet_column_of_another_type_is_refused_before_a_row_is_read(read, tmp_path, column, values, found):
    table = {"text": ["a"], "label": ["b"]} | {column: values}
    with pytest.raises(
        DataError, match=f"The column '{column}' of .*rows.parquet holds {found}.*dataset.{column}_column"
    ):
        read(write_parquet(tmp_path / "rows.parquet", table))


def test_parquet_text_that_is_not_utf_8_is_a_bad_text(read, tmp_path):
    raw = pa.array([b"fine", b"caf\xe9", None], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    rows = read(write_parquet(tmp_path / "rows.parquet", {"text": text, "label": ["a", "b", "c"]}))
    assert [row["text"] for row in rows] == ["fine", "caf\udce9", None]


def test_malformed_parquet(read, tmp_path):
    with pytest.raises(DataError, match=r"Cannot read .*rows.parquet as Parquet"):
        read(write(tmp_path / "rows.parquet", "not parquet"))


@pytest.mark.parametrize("kind", ["csv", "tsv", "json", "jsonl", "parquet"])
@pytest.mark.parametrize("form", ["{kind}:{path}", "{path}.{kind}"])
def test_a_missing_file_is_named(read, tmp_path, kind, form):
    with pytest.raises(DataError, match=r"Cannot read .*absent"):
        read(form.format(kind=kind, path=tmp_path / "absent"))


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.jsonl.gz", "rows.json.gz", "rows.tsv.gz", "rows.CSV"])
def test_packed_files_are_unpacked(read, tmp_path, name):
    kind = name.split(".")[1].lower()
    data = {"csv": csv_of(ROWS), "tsv": csv_of(ROWS, "\t"), "json": json.dumps(ROWS)}.get(
        kind, "\n".join(map(json.dumps, ROWS))
    )
    assert read(write(tmp_path / name, gzip.compress(data.encode()))) == ROWS


def test_the_kind_can_be_said_and_the_suffix_may_be_in_capitals(read, tmp_path):
    only, expected = {"text": "text_column"}, [{"text": "a"}]
    assert read(f"csv:{write(tmp_path / 'rows.txt', 'text' + chr(10) + 'a')}", only) == expected
    assert read(f"jsonl:{write(tmp_path / 'rows.csv', json.dumps(expected[0]))}", only) == expected
    assert read(write(tmp_path / "with:colon.CSV", "text\na\n"), only) == expected


def test_folders_and_globs_are_read_in_order_of_the_names(read, tmp_path):
    folder = tmp_path / "parts"
    (folder / "deep").mkdir(parents=True)
    for name, text in (("b.snappy.parquet", "second"), ("a.parquet", "first"), ("deep/c.parquet", "third")):
        write_parquet(folder / name, {"text": [text], "label": ["x"]})
    write(folder / "_SUCCESS", "")
    write(folder / ".hidden.csv", "")
    texts = ["first", "second", "third"]
    assert [row["text"] for row in read(folder)] == texts
    assert [row["text"] for row in read(f"parquet:{folder}")] == texts
    assert [row["text"] for row in read(folder / "**" / "*.parquet")] == texts
    assert [row["text"] for row in read(folder / "?.*")] == texts[:2]
    write(folder / "d.csv", "text,label\nfourth\n")
    with pytest.raises(DataError, match=r"several kinds: 1 .csv, 3 .parquet. Give one kind, such as csv:"):
        read(folder)
    write(folder / "e.csv", "text,label\nfifth,x\n")
    assert read(f"csv:{folder}") == [
        f"line 2 of {folder / 'd.csv'}: has 1 cell, expected 2: text, label; check quotes",
        {"text": "fifth", "label": "x"},
    ]


@pytest.mark.parametrize("name", ["*.csv", "empty"])
def test_a_folder_or_glob_without_files_is_named(read, tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no files that can be read: found 0 files"):
        read(tmp_path / name)


@pytest.mark.parametrize("source", ["", "rows", "rows.txt", "package:", "package:unknown.csv", "gopher:x", "rows.xlsx"])
def test_an_unknown_source_lists_the_known_ones(read, source):
    with pytest.raises(DataError, match="package:vader-sentiment, hub:ORG/NAME") as caught:
        read(source)
    assert repr(source) in str(caught.value)


CELLS = st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.text("ab", min_size=1))


@given(
    cells=st.lists(CELLS, min_size=1), separator=st.sampled_from(",;\t|"), encoding=st.sampled_from(["utf-8", "utf-16"])
)
def test_all_formats_agree(cells, separator, encoding, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    rows = [dict(zip(("text", "label"), row, strict=True)) for row in cells]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    with (folder / "agree.csv").open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, ["text", "label"], delimiter=separator, quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    paths = [
        folder / "agree.csv",
        write(folder / "agree.jsonl", lines.encode(encoding)),
        write(folder / "agree.json", json.dumps(rows).encode(encoding)),
        write_parquet(folder / "agree.parquet", pa.Table.from_pylist(rows)),
    ]
    for path in paths:
        assert [row.values for row in read_source(str(path), folder, Wanted(COLUMNS))] == rows


HUB = """
import json, sys
from pathlib import Path
from atlas.data.sources.read import read_source
from atlas.data.sources.source_row import Wanted
from atlas.errors import DataError
for source in sys.argv[1:]:
    try:
        wanted = Wanted({"text": "text_column", "label": "label_column"})
        print(json.dumps([row.values for row in read_source(source, Path("cache"), wanted)]))
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
