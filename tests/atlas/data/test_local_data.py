"""Data that stays on its node: which rows are meant, and a commitment that binds to them and tells nothing of them."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from atlas.data.local_data import LocalData, LocalSource, commit_rows, read_local_rows
from atlas.data.merkle import merkle_proof, root_from_proof
from atlas.data.prepare import prepare_holdout
from atlas.documents.stored import get_document, put_document
from atlas.errors import DataError
from atlas.spec.dataset import DatasetSpec
from atlas.spec.row_part import RowPart

SALT = bytes(range(32))
ROWS = [{"text": f"note {number}", "label": "yes" if number % 3 else "no", "site": number % 2} for number in range(40)]

lines = st.lists(st.text().map(lambda text: json.dumps({"text": text}).encode() + b"\n"), min_size=1, max_size=12)
salts = st.binary(min_size=32, max_size=32)


def commit(rows, salt=SALT):
    return commit_rows("notes", "atlas1a", True, rows, salt)


@given(lines, salts)
def test_a_commitment_can_be_opened_for_one_row_and_for_no_other(rows, salt):
    committed = commit(rows, salt)
    assert committed == commit(iter(rows), salt)
    leaves = [hashlib.sha256(salt + row).digest() for row in rows]
    for index in range(len(rows)):
        proof = merkle_proof(leaves, index)
        assert root_from_proof(leaves[index], proof).hex() == committed.root
        assert root_from_proof(hashlib.sha256(salt + b"another\n").digest(), proof).hex() != committed.root


@given(lines, salts, st.data())
def test_any_change_of_the_rows_shows(rows, salt, data):
    place = data.draw(st.integers(0, len(rows) - 1))
    kind = data.draw(st.sampled_from(["edit", "remove", "add", "swap"]))
    changed = list(rows)
    if kind == "edit":
        changed[place] = b'{"text":"edited "}\n'
    elif kind == "remove" and len(rows) > 1:
        del changed[place]
    elif kind == "add":
        changed.insert(place, rows[place])
    else:
        changed[place], changed[0] = changed[0], changed[place]
    assert (commit(changed, salt) == commit(rows, salt)) == (changed == rows)


@given(lines, st.lists(salts, min_size=2, max_size=2, unique=True))
def test_without_the_salt_nobody_can_tell_whether_two_nodes_have_the_same_rows(rows, salts):
    first, second = (commit(rows, salt).root for salt in salts)
    assert first != second


def test_the_document_holds_the_shape_and_the_commitment_and_nothing_else(store):
    committed = commit([b'{"label":"no","text":"Otto Xylander has the flu"}\n'])
    assert committed.model_dump(exclude={"root"}) == {
        "kind": "local-data",
        "name": "notes",
        "address": "atlas1a",
        "columns": {"label": "text", "text": "text"},
        "rows": 1,
    }
    assert b"Xylander" not in committed.canonical_bytes()
    assert get_document(store, put_document(store, committed), LocalData) == committed


def test_no_rows_are_no_data():
    with pytest.raises(DataError, match=r"'notes' .* has no rows.*`where`"):
        commit([])


def texts(source, tmp_path):
    return [json.loads(row.line)["text"] for row in read_local_rows(source, tmp_path)]


def test_where_picks_one_site_of_many(write_rows, tmp_path):
    sites = [LocalSource(source=write_rows(ROWS), where={"site": site}) for site in (0, 1)]
    first, second = (texts(site, tmp_path) for site in sites)
    assert first == [row["text"] for row in ROWS if row["site"] == 0]
    assert sorted(first + second) == sorted(row["text"] for row in ROWS)
    assert texts(LocalSource(source=write_rows(ROWS), where={"site": "1", "label": "no"}), tmp_path) == [
        row["text"] for row in ROWS if row["site"] == 1 and row["label"] == "no"
    ]


def test_rows_are_lines_of_a_shard_with_or_without_labels(write_rows, tmp_path):
    (row, *_) = read_local_rows(LocalSource(source=write_rows(ROWS)), tmp_path)
    assert row.line == b'{"label":"no","text":"note 0"}\n'
    (row, *_) = read_local_rows(LocalSource(source=write_rows(ROWS), label_column=None), tmp_path)
    assert row.line == b'{"text":"note 0"}\n'


def test_a_node_has_the_same_settings_for_its_files_as_a_job(tmp_path, caplog):
    (tmp_path / "notes.csv").write_bytes("note;finding\r\nmüde;ja\r\n;nein\r\n".encode("latin-1"))
    source = LocalSource(
        source=str(tmp_path / "notes.csv"), text_column="note", label_column="finding", encoding="latin-1"
    )
    with pytest.raises(DataError, match=r"1 row of .*\n  line 3: the text column 'note' is empty\n.*help: text_column"):
        texts(source, tmp_path)
    assert texts(source.model_copy(update={"bad_rows": "skip"}), tmp_path) == ["müde"]
    assert "skipped 1 row of" in caplog.text


def test_where_compares_names_as_labels_are_compared(write_rows, tmp_path):
    rows = [{"text": f"note {value}", "label": "no", "site": value} for value in (True, "true", 1, 1.0, "1.0", None)]
    for wanted, count in (("true", 2), (1, 3), ("1", 3)):
        assert len(texts(LocalSource(source=write_rows(rows), where={"site": wanted}), tmp_path)) == count


def test_a_column_that_is_not_there_is_named(write_rows, tmp_path):
    with pytest.raises(DataError, match=r"no column 'ward'; .*'site'(.|\n)* help: where"):
        texts(LocalSource(source=write_rows(ROWS), where={"ward": 3}), tmp_path)
    with pytest.raises(DataError, match=r"has no column 'body'"):
        texts(LocalSource(source=write_rows(ROWS), text_column="body"), tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "node-local:other"}, "cannot be node-local again"),
        ({"source": "x.csv", "where": {"site": True}}, "where"),
        ({"source": "x.csv", "keep": {"first": 0, "last": 10, "of": 10}}, "last must be below of"),
        ({"source": "x.csv", "jobs": ["not a cid"]}, "jobs"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        LocalSource.model_validate(settings)


@given(st.text(), st.integers(2, 50), st.data())
def test_each_text_falls_into_exactly_one_part(text, of, data):
    cut = data.draw(st.integers(0, of - 2))
    parts = [RowPart(first=0, last=cut, of=of), RowPart(first=cut + 1, last=of - 1, of=of)]
    assert [part.holds(text) for part in parts].count(True) == 1


def holdout_spec(source, **changes):
    return DatasetSpec.model_validate(
        {
            "source": "node-local:notes",
            "labels": ["no", "yes"],
            "shard_by": {"nodes": 2},
            "holdout_source": source,
            **changes,
        }
    )


def test_bad_rows_of_the_coordinator_are_counted_where_they_are_skipped(store, write_rows, tmp_path):
    source = write_rows([*ROWS, {"text": "", "label": "no"}])
    own = prepare_holdout(holdout_spec(source, bad_rows="skip"), store, tmp_path, 1)
    assert (own.holdout.rows, own.skipped_rows) == (40, 1)
    with pytest.raises(DataError, match="line 41: the text column 'text' is empty"):
        prepare_holdout(holdout_spec(source), store, tmp_path, 1)


def test_held_out_and_reference_rows_share_no_text(store, write_rows, tmp_path):
    spec = holdout_spec(write_rows(ROWS + ROWS + ROWS), holdout_rows=30)
    held, reference, _ = prepare_holdout(spec, store, tmp_path, 1, reference_rows=12)
    assert (held.rows, reference.rows) == (30, 12)
    assert not {*store.read(held.cid).splitlines()} & {*store.read(reference.cid).splitlines()}


def test_sites_and_coordinator_can_share_a_source_without_sharing_a_row(store, write_rows, tmp_path):
    source = write_rows(ROWS + ROWS)  # doublets fall on the same side
    held, *_ = prepare_holdout(holdout_spec(source, holdout_keep={"first": 0, "last": 1, "of": 5}), store, tmp_path, 1)
    kept = texts(LocalSource(source=source, keep=RowPart(first=2, last=4, of=5)), tmp_path)
    evaluated = [json.loads(line)["text"] for line in store.read(held.cid).splitlines()]
    assert not set(kept) & set(evaluated)
    assert len(kept) + len(evaluated) == 2 * len(ROWS)


@pytest.mark.parametrize(("most", "reference_rows"), [(10, 0), (10, 5), (1000, 5), (1000, 39)])
def test_all_rows_from_elsewhere_are_held_out_up_to_the_limit(store, write_rows, tmp_path, most, reference_rows):
    spec = holdout_spec(write_rows(ROWS), holdout_rows=most)
    held, reference, _ = prepare_holdout(spec, store, tmp_path, 1, reference_rows=reference_rows)
    evaluated = store.read(held.cid).splitlines()
    trained = store.read(reference.cid).splitlines() if reference else []
    assert (len(evaluated), len(trained)) == (min(most, len(ROWS) - reference_rows), reference_rows)
    assert not set(evaluated) & set(trained)
    assert held.form == "rows"
    assert held.rows == len(evaluated)
    assert prepare_holdout(spec, store, tmp_path, 1, reference_rows=reference_rows)[0] == held
    if most == 10:
        assert prepare_holdout(spec, store, tmp_path, 2)[0] != held


def test_too_few_rows_to_evaluate_on_are_refused(store, write_rows, tmp_path):
    with pytest.raises(DataError, match=r"has 40 rows .*41 or more of different texts are needed.*reference_rows"):
        prepare_holdout(holdout_spec(write_rows(ROWS)), store, tmp_path, 1, reference_rows=40)
    with pytest.raises(DataError, match=r"has 0 rows .*1 or more of different texts are needed"):
        prepare_holdout(holdout_spec(write_rows([])), store, tmp_path, 1)
