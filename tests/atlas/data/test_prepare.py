"""Preparing a dataset: the same input gives the same CIDs, and every row goes to exactly one place."""

import json
import random
import resource
import unicodedata
from collections import Counter

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from atlas.content.local.store import LocalStore
from atlas.data.prepare import prepare_dataset
from atlas.documents.manifests import DatasetManifest
from atlas.documents.stored import get_document
from atlas.errors import ContentError, DataError
from atlas.spec.dataset import DatasetSpec, ShardRule
from atlas.spec.partition_names import name_of

SEED = 17


def spec(source, **changes):
    values = {"labels": ["no", "yes"], "shard_by": ShardRule(column="place"), "holdout_fraction": 0.2} | changes
    return DatasetSpec(source=source, **values)


def sample_rows(count=60):
    return [
        {"text": f"text {number} é", "label": "yes" if number % 3 else "no", "place": "abbccc"[number % 6]}
        for number in range(count)
    ]


def lines_of(store, piece):
    data = store.read(piece.cid)
    lines = data.splitlines(keepends=True)
    assert piece.bytes == len(data)
    assert piece.rows == len(lines)
    assert piece.tokens == piece.size == sum(len(json.loads(line)["text"].split()) for line in lines)
    assert piece.labels == dict(Counter(json.loads(line)["label"] for line in lines if b'"label"' in line))
    return lines


def line_of(row):
    row = {"label": row["label"], "text": row["text"]}
    return json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def is_subsequence(part, whole):
    rest = iter(whole)
    return all(item in rest for item in part)


RULES = [ShardRule(column="place"), ShardRule(rows=7), ShardRule(bytes=300)]


@pytest.mark.parametrize("rule", RULES, ids=["column", "rows", "bytes"])
def test_a_prepared_dataset(store, write_rows, tmp_path, rule):
    rows = sample_rows()
    manifest = prepare_dataset(spec(write_rows(rows), shard_by=rule), store, tmp_path / "cache", SEED)
    assert get_document(store, manifest.cid, DatasetManifest) == manifest
    assert [shard.key for shard in manifest.shards] == [f"s{index:03d}" for index in range(len(manifest.shards))]
    assert len(manifest.shards) > 2
    assert (manifest.holdout.key, manifest.holdout.rows) == ("holdout", 12)
    assert (manifest.text_column, manifest.label_column, manifest.labels) == ("text", "label", ["no", "yes"])
    expected = [line_of(row) for row in rows]
    pieces = [lines_of(store, piece) for piece in [*manifest.shards, manifest.holdout]]
    assert Counter(line for piece in pieces for line in piece) == Counter(expected)
    assert all(is_subsequence(piece, expected) for piece in pieces)
    assert list((tmp_path / "cache").iterdir()) == [], "no temporary file is left"


def test_by_column_each_value_is_a_shard_with_the_same_share_held_out(store, write_rows, tmp_path):
    manifest = prepare_dataset(spec(write_rows(sample_rows())), store, tmp_path, SEED)
    assert [(shard.value, shard.rows) for shard in manifest.shards] == [("a", 8), ("b", 16), ("c", 24)]


def test_known_answers(store, tmp_path):
    """These CIDs must never change: jobs on chain name them."""
    (tmp_path / "rows.csv").write_text("text,label,place\n" + "".join(f"text {n},yes,p{n % 2}\n" for n in range(20)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        manifest = prepare_dataset(spec("rows.csv"), store, tmp_path / "cache", SEED)
    assert [json.loads(line)["text"] for line in lines_of(store, manifest.holdout)] == KNOWN_HOLDOUT
    assert [shard.cid for shard in manifest.shards] == KNOWN_SHARDS
    assert manifest.cid == KNOWN_MANIFEST


KNOWN_HOLDOUT = ["text 9", "text 12", "text 14", "text 17"]
KNOWN_SHARDS = [
    "bafkreib5yty57wozse65mlxdcrgyoibu55c32v3xpbncpvd65ctt4uhsnq",
    "bafkreifmsy7ydmsgkx25wu2etmwwi6gywmedcyhjhujhbfclmr5ss5slam",
]
KNOWN_MANIFEST = "bafkreicvlzp6hjuh53d3c6hm32a4xyvhrz44cb3lwui4vohsm46zgfdg4e"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(8, 60), rule=st.sampled_from(RULES), wanted=st.integers(1, 60), seed=st.integers(0, 2**31 - 1))
def test_reference_rows_are_in_no_shard_and_not_held_out(count, rule, wanted, seed, store, write_rows, tmp_path):
    rows = sample_rows(count)
    settings = spec(write_rows(rows), shard_by=rule)
    without = prepare_dataset(settings, store, tmp_path, seed)
    assert without.reference is None
    strata = 3 if rule.column else 1
    if count - without.holdout.rows - strata < wanted:
        with pytest.raises(DataError, match=f"reference_rows is {wanted}"):
            prepare_dataset(settings, store, tmp_path, seed, reference_rows=wanted)
        return
    manifest = prepare_dataset(settings, store, tmp_path, seed, reference_rows=wanted)
    assert manifest.holdout == without.holdout
    assert (manifest.reference.key, manifest.reference.rows) == ("reference", wanted)
    pieces = [lines_of(store, piece) for piece in [*manifest.shards, manifest.holdout, manifest.reference]]
    expected = [line_of(row) for row in rows]
    assert Counter(line for piece in pieces for line in piece) == Counter(expected)
    assert is_subsequence(pieces[-1], expected)
    assert prepare_dataset(settings, store, tmp_path, seed, reference_rows=wanted) == manifest


def test_reference_rows_have_the_same_share_in_each_shard_and_a_draw_of_their_own(store, write_rows, tmp_path):
    settings = spec(write_rows(sample_rows(120)))
    manifest = prepare_dataset(settings, store, tmp_path, SEED, reference_rows=12)
    assert [shard.rows for shard in manifest.shards] == [14, 28, 42]
    # A draw that went on where the held-out rows end would give the rows that a larger holdout adds.
    more = prepare_dataset(settings.model_copy(update={"holdout_fraction": 0.3}), store, tmp_path, SEED)
    added = Counter(lines_of(store, more.holdout)) - Counter(lines_of(store, manifest.holdout))
    assert Counter(lines_of(store, manifest.reference)) != added
    other = prepare_dataset(settings, store, tmp_path, SEED + 1, reference_rows=12)
    assert other.reference.cid != manifest.reference.cid


def test_the_shipped_dataset(store, vader_cache):
    """19,459 rows in four domains, 49 repeat a text; the held-out share is the same in each, to within a row."""
    settings = spec("package:vader-sentiment", labels=["negative", "positive"], shard_by=ShardRule(column="domain"))
    heard = []
    manifest = prepare_dataset(settings, store, vader_cache, SEED, heard.append)
    assert [(shard.value, shard.rows) for shard in manifest.shards] == [
        ("amazon", 2832),
        ("movie", 9554),
        ("nyt", 2817),
        ("tweets", 3256),
    ]
    assert manifest.holdout.rows == 1000
    assert manifest.cid == "bafkreihr5mt4imfbgn3jba6g5f2kcg5m5ysric7hbo5l2daas5t5zflhwm"
    assert heard == [*range(1000, 19_459, 1000), 19_459]
    again = prepare_dataset(settings, store, vader_cache, SEED)
    assert again.cid == manifest.cid
    other = prepare_dataset(settings, store, vader_cache, SEED + 1)
    assert other.holdout.cid != manifest.holdout.cid
    assert [shard.rows for shard in other.shards] == [shard.rows for shard in manifest.shards]


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.text('ab é\n"\\', min_size=1, max_size=8).filter(str.strip),
            "label": st.sampled_from(["no", "yes"]),
            "place": st.sampled_from("pqr"),
        }
    ),
    min_size=2,
    max_size=40,
)


def texts_in(pieces):
    return {unicodedata.normalize("NFC", json.loads(line)["text"]) for piece in pieces for line in piece}


def can_hold_out(rows, column):
    """Whether there is a text without which every stratum still has a row."""
    strata = {}
    for row in rows:
        strata.setdefault(row[column] if column else "", set()).add(row["text"])
    return any(all(texts != {row["text"]} for texts in strata.values()) for row in rows)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=ROWS,
    rule=st.sampled_from(RULES),
    fraction=st.floats(0.01, 0.9),
    most=st.integers(1, 20),
    seed=st.integers(0, 2**31),
)
def test_shards_and_holdout_partition_the_rows(rows, rule, fraction, most, seed, store, write_rows, tmp_path):
    assume(can_hold_out(rows, "place" if rule.column else None))
    settings = spec(write_rows(rows), shard_by=rule, holdout_fraction=fraction, holdout_rows=most)
    manifest = prepare_dataset(settings, store, tmp_path / "cache", seed)
    expected = [line_of(row) for row in rows]
    held_out = lines_of(store, manifest.holdout)
    shards = [lines_of(store, shard) for shard in manifest.shards]
    assert Counter(held_out) + Counter(line for shard in shards for line in shard) == Counter(expected)
    assert not texts_in([held_out]) & texts_in(shards), "equal texts are on one side"
    assert len(held_out) <= most or len(texts_in([held_out])) == 1
    assert manifest.repeated_rows == len(rows) - len({row["text"] for row in rows})
    assert all(shards), "no shard is empty"
    if rule.rows:
        assert all(shard.rows <= rule.rows for shard in manifest.shards)
    if rule.bytes:
        assert all(shard.bytes <= rule.bytes for shard in manifest.shards)
    if rule.column:
        assert [shard.value for shard in manifest.shards] == sorted({row["place"] for row in rows})
        for value, shard in zip((shard.value for shard in manifest.shards), shards, strict=True):
            assert is_subsequence(shard, [line_of(row) for row in rows if row["place"] == value])
    assert prepare_dataset(settings, store, tmp_path / "elsewhere", seed) == manifest


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, seed=st.integers(0, 100))
def test_how_the_values_of_a_column_are_interleaved_does_not_matter(rows, seed, store, write_rows, tmp_path):
    assume(can_hold_out(rows, "place"))
    by_place = {place: [row for row in rows if row["place"] == place] for place in "pqr"}
    order = [row["place"] for row in rows]
    random.Random(seed).shuffle(order)
    queues = {place: iter(queue) for place, queue in by_place.items()}
    interleaved = [next(queues[place]) for place in order]
    first = prepare_dataset(spec(write_rows(rows)), store, tmp_path, SEED)
    second = prepare_dataset(spec(write_rows(interleaved)), store, tmp_path, SEED)
    assert first.shards == second.shards
    assert Counter(lines_of(store, first.holdout)) == Counter(lines_of(store, second.holdout))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_a_change_in_one_shard_leaves_the_others_alone(rows, store, write_rows, tmp_path):
    rows = [row | {"text": f"{row['place']}: {row['text']}"} for row in rows]  # no text is in two places
    assume(can_hold_out(rows, "place"))
    changed = [row | {"text": row["text"] + "!"} if row["place"] == "p" else row for row in rows]
    first = prepare_dataset(spec(write_rows(rows)), store, tmp_path, SEED)
    second = prepare_dataset(spec(write_rows(changed)), store, tmp_path, SEED)
    for before, after in zip(first.shards, second.shards, strict=True):
        assert (before.cid == after.cid) == (before.value != "p")


TABLES = st.fixed_dictionaries(
    {
        "label": st.sampled_from([[True, False], [0, 1], [0.0, 1.0], ["0", "1"], ["caf\u00e9", "th\u00e9"]]),
        "place": st.sampled_from([["p", "q"], [2020, 2021], [1.0, 2.0], [True, False]]),
        "separator": st.sampled_from(",;\t|"),
        "encoding": st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
        "texts": st.lists(
            st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip),
            min_size=8,
            max_size=20,
            unique=True,
        ),
    }
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TABLES)
def test_the_kind_of_file_does_not_matter(store, tmp_path, table):
    """What pandas writes in each kind of file gives the same shards."""
    import pandas as pd

    texts = table["texts"]
    rows = [[text, table["label"][place % 2], table["place"][place // 2 % 2]] for place, text in enumerate(texts)]
    frame = pd.DataFrame(rows, columns=["text", "label", "place"])
    frame["odd"] = pd.Timestamp("2020-01-01")
    frame.to_csv(tmp_path / "rows.csv", sep=table["separator"], encoding=table["encoding"], index=False)
    frame.to_csv(tmp_path / "rows.csv.gz", index=False)
    frame.to_csv(tmp_path / "rows.tsv", sep="\t", index=False)
    frame.to_json(tmp_path / "rows.json", orient="records", force_ascii=False, date_format="iso")
    frame.to_json(tmp_path / "rows.jsonl.gz", orient="records", lines=True, date_format="iso")
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=5)
    (tmp_path / "parts").mkdir(exist_ok=True)
    frame[:5].to_parquet(tmp_path / "parts" / "part-0.parquet")
    frame[5:].to_parquet(tmp_path / "parts" / "part-1.parquet")
    names = [name_of(label) for label in table["label"]]
    files = ["rows.csv", "rows.csv.gz", "rows.tsv", "rows.json", "rows.jsonl.gz", "rows.parquet", "parts"]
    first, *others = [
        prepare_dataset(spec(str(tmp_path / name), labels=names), store, tmp_path / "cache", SEED) for name in files
    ]
    assert sum(shard.rows for shard in first.shards) + first.holdout.rows == len(texts)
    assert [(one.shards, one.holdout) for one in others] == [(first.shards, first.holdout)] * len(others)


def test_without_labels(store, write_rows, tmp_path):
    rows = [{"body": f"text {number}"} for number in range(10)]
    settings = spec(write_rows(rows), text_column="body", label_column=None, labels=[], shard_by=ShardRule(rows=4))
    manifest = prepare_dataset(settings, store, tmp_path, SEED)
    assert [shard.rows for shard in manifest.shards] == [4, 4]
    assert all(shard.labels == {} for shard in manifest.shards)
    assert manifest.holdout.rows == 2
    assert all(json.loads(line).keys() == {"text"} for line in lines_of(store, manifest.shards[0]))


@pytest.mark.parametrize(
    ("rows", "changes", "message"),
    [
        ([], {}, "has 0 rows that can be used; at least two are needed"),
        (sample_rows(1), {}, "has 1 row that can be used, one for each value of the column 'place'; at least two"),
        (sample_rows(1), {"shard_by": ShardRule(rows=1)}, "has 1 row that can be used; at least two are needed"),
        (sample_rows(5)[::3], {}, "has 2 rows that can be used, one for each value of the column 'place'"),
        ([*sample_rows(), {"text": "", "label": "no", "place": "a"}], {}, "line 61: the text column 'text' is empty"),
        ([*sample_rows(), {"text": "x", "label": "?", "place": "a"}], {}, "line 61: has the label '?'; allowed are"),
        (sample_rows(), {"text_column": "body"}, "has no column 'body'; found the columns 'text', 'label'"),
        (sample_rows(), {"shard_by": ShardRule(bytes=30)}, "A row takes 34 bytes, a shard may have 30"),
        (sample_rows(10_100), {"shard_by": ShardRule(rows=1), "holdout_rows": 1}, "makes 10099 shards; at most 10000"),
    ],
)  # fmt: skip
def test_a_bad_dataset_is_an_error_and_nothing_is_stored(rows, changes, message, store, write_rows, tmp_path):
    with pytest.raises(DataError) as caught:
        prepare_dataset(spec(write_rows(rows), **changes), store, tmp_path / "cache", SEED)
    assert message in str(caught.value)
    assert not store.root.exists()
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_case_of_many_copies_has_no_text_on_two_sides(store, write_rows, tmp_path):
    rows = [{"text": f"sentence {number % 20}", "label": "no"} for number in range(200)]
    settings = spec(write_rows(rows), shard_by=ShardRule(rows=100), holdout_rows=40)
    manifest = prepare_dataset(settings, store, tmp_path, SEED, reference_rows=20)
    pieces = [[manifest.holdout], [manifest.reference], manifest.shards]
    texts = [texts_in([lines_of(store, one) for one in some]) for some in pieces]
    assert [len(some) for some in texts] == [4, 2, 14]
    assert [len(texts[a] & texts[b]) for a, b in ((0, 1), (0, 2), (1, 2))] == [0, 0, 0]
    assert manifest.repeated_rows == 180


def test_texts_that_look_equal_are_on_one_side(store, write_rows, tmp_path):
    rows = [
        {"text": text, "label": "no"}
        for number in range(20)
        for text in (f"caf\u00e9 {number}", f"cafe\u0301 {number}")
    ]
    settings = spec(write_rows(rows), shard_by=ShardRule(rows=100), holdout_rows=10, holdout_fraction=0.5)
    manifest = prepare_dataset(settings, store, tmp_path, SEED)
    held_out, trained = (lines_of(store, piece) for piece in (manifest.holdout, manifest.shards[0]))
    assert (len(held_out), len(trained)) == (10, 30)
    assert not texts_in([held_out]) & texts_in([trained])
    assert len(set(held_out)) == 10, "the texts themselves are as they were"


def test_one_text_cannot_be_split(store, write_rows, tmp_path):
    rows = [{"text": "the same", "label": "no"}] * 30
    with pytest.raises(DataError, match=r"has 30 rows, but only 1 different text\."):
        prepare_dataset(spec(write_rows(rows), shard_by=ShardRule(rows=10)), store, tmp_path, SEED)


def test_a_text_of_most_rows_is_trained_on(store, write_rows, tmp_path):
    rows = [{"text": "the same" if number < 90 else f"text {number}", "label": "no"} for number in range(100)]
    manifest = prepare_dataset(spec(write_rows(rows), shard_by=ShardRule(rows=1000)), store, tmp_path, SEED)
    assert b"the same" not in store.read(manifest.holdout.cid)
    assert manifest.holdout.rows == 10


def test_bad_rows_are_skipped_and_counted_where_the_settings_say_so(store, write_rows, tmp_path):
    rows = [*sample_rows(), {"text": "", "label": "no", "place": "a"}, {"text": "x", "label": "maybe", "place": "a"}]
    source = write_rows(rows)
    good = prepare_dataset(spec(write_rows(sample_rows(), "good.jsonl")), store, tmp_path, SEED)
    skipping = prepare_dataset(spec(source, bad_rows="skip"), store, tmp_path, SEED)
    assert (skipping.shards, skipping.holdout, skipping.skipped_rows) == (good.shards, good.holdout, 2)
    with pytest.raises(DataError) as caught:
        prepare_dataset(spec(source), store, tmp_path, SEED)
    assert str(caught.value) == (
        f"2 rows of {source} cannot be used:\n  line 61: the text column 'text' is empty\n"
        "  line 62: has the label 'maybe'; allowed are 'no', 'yes'\nCorrect or remove them. Settings that may help: "
        "dataset.text_column; dataset.labels; dataset.bad_rows: skip, which leaves such rows out."
    )


def test_ten_bad_rows_are_listed_and_the_others_counted(store, write_rows, tmp_path):
    rows = [*sample_rows(), *({"text": "x", "label": f"bad {number}", "place": "a"} for number in range(25))]
    with pytest.raises(DataError) as caught:
        prepare_dataset(spec(write_rows(rows)), store, tmp_path, SEED)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("25 rows of")
    assert [line[:9] for line in lines[1:11]] == [f"  line {number}" for number in range(61, 71)]
    assert lines[11] == "  and 15 more"


def test_half_a_surrogate_pair_in_a_shard_value_is_refused(store, write_rows, tmp_path):
    rows = [*sample_rows(), {"text": "x", "label": "no", "place": "a\ud83d"}]
    with pytest.raises(DataError, match="line 61: the column 'place' holds half a surrogate pair"):
        prepare_dataset(spec(write_rows(rows)), store, tmp_path, SEED)
    assert not store.root.exists()


def test_a_cache_that_cannot_be_written_is_named(store, write_rows, tmp_path):
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(DataError, match=r"Cannot prepare .*rows.jsonl in .*cache: .*Check the folder"):
        prepare_dataset(spec(write_rows(sample_rows())), store, tmp_path / "cache", SEED)


def test_a_full_disk_is_an_error_that_leaves_no_temporary_file(store, write_rows, tmp_path):
    source = write_rows([{"text": "x" * 1000, "label": "yes", "place": "a"} for _ in range(3000)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(DataError, match=r"Cannot prepare .*free space"):
            prepare_dataset(spec(source), store, tmp_path / "cache", SEED)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_store_that_fails_is_named(write_rows, tmp_path):
    (tmp_path / "store").write_text("in the way")
    with pytest.raises(ContentError, match="Cannot store"):
        prepare_dataset(spec(write_rows(sample_rows())), LocalStore(tmp_path / "store"), tmp_path / "cache", SEED)
