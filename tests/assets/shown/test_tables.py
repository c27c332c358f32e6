from assets.shown.diagnostics import diagnostics_metadata
from assets.shown.tables import (
    metrics_table,
    payout_tables,
    refused_table,
    rounded,
    shard_facts,
    shard_tables,
    short_cid,
    table,
    update_tables,
)
from atlas.content.format.cid import cid_of_bytes
from atlas.documents.manifests import DatasetManifest, Environment, Receipt, RefusedUpdate, ShardManifest, TrainingPoint
from atlas.documents.round_diagnostics import CosineSpread, Influence, RoundDiagnostics
from resources.jobs.registry import Attempt
from resources.rounds.payout_report import Payout

CID = cid_of_bytes(b"any")
SHARDS = [ShardManifest(key=f"s00{index}", cid=CID, rows=10 + index, bytes=100) for index in range(3)]
DATASET = DatasetManifest(
    source="x.csv", text_column="text", label_column=None, labels=[], shards=SHARDS, holdout=SHARDS[0]
)
RECEIPT = Receipt(
    task=CID,
    task_id="0" * 16,
    attempt=1,
    node="atlas1",
    data=CID,
    base=CID,
    losses=[TrainingPoint(step=1, loss=0.9), TrainingPoint(step=2, loss=0.51234)],
    environment=Environment(device="cpu", torch="2", transformers="5", peft="0", platform="x", precision="fp32"),
    started_at=0.0,
    finished_at=1.0,
)


def attempt(slot: int, **changes) -> Attempt:
    return Attempt(slot=slot, attempt=1, task_id="0" * 16, task_cid=CID, node_id=7, **changes)


def rows_of(value) -> list[dict]:
    return [record.data for record in value.records]


def test_each_attempt_has_a_verdict():
    attempts = [
        attempt(0, state="completed", receipt_cid="receipt", result_cid="adapter"),
        attempt(1, state="refused", gate="finite", reason="holds NaN"),
        attempt(2, state="completed", receipt_cid="other", result_cid="odd", gate="schema", reason="lacks a tensor"),
        attempt(3, state="completed", receipt_cid="evaluation", result_cid="evaluation"),
    ]
    shown = update_tables(attempts, {"receipt": RECEIPT}, DATASET)
    first, second, third = rows_of(shown["updates"])
    assert (first["shard"], first["verdict"], first["rows"], first["loss"]) == ("s000", "accepted", 10, 0.5123)
    assert (second["verdict"], third["verdict"], third["loss"]) == ("refused", "excluded", "")
    assert rows_of(shown["reasons"]) == [
        {"shard": "s001", "attempt": 1, "gate": "finite", "reason": "holds NaN"},
        {"shard": "s002", "attempt": 1, "gate": "schema", "reason": "lacks a tensor"},
    ]


def test_a_table_has_short_cids_and_the_whole_ones_beneath():
    attempts = [attempt(0, state="completed", result_cid=CID), attempt(1, state="lost", reason="silence")]
    shown = update_tables(attempts, {}, DATASET)
    assert list(shown)[:2] == ["updates", "updates_cids"]
    (short, _), (whole,) = rows_of(shown["updates"]), rows_of(shown["updates_cids"])
    assert whole == {"shard": "s000", "attempt": 1, "adapter": CID}
    first, last = short["adapter"].split("…")
    assert CID.startswith(first)
    assert CID.endswith(last)
    assert (short_cid(None), short_cid("abc"), len(short["adapter"])) == (None, "abc", 14)


def test_numbers_are_rounded_to_what_a_person_reads():
    assert [rounded(value) for value in (0.123456, 123456.7, -1e-9 / 3, 0.0)] == [0.1235, 123500.0, -3.333e-10, 0.0]
    assert rounded(float("inf")) == float("inf")


def diagnostics(count: int = 2, **changes) -> RoundDiagnostics:
    fields = {
        "manifest": CID,
        "space": "flat",
        "norm": 1.5,
        "residual": 0.25,
        "effective_rank": 3.5,
        "effective_ranks": {"query": 3.0, "value": 4.0},
        "cosines": CosineSpread(minimum=0.1, lower_quartile=0.2, median=0.3, upper_quartile=0.4, maximum=0.5),
        "cosine_matrix": [[1.0, 0.3], [0.3, 1.0]],
        "updates": [
            Influence(shard=f"s00{at}", norm=2.0 + at, coefficient=0.5, share=0.4, cosine=0.9) for at in range(count)
        ],
    }
    return RoundDiagnostics(**{**fields, **changes})


def test_an_accepted_update_shows_how_much_it_counted():
    attempts = [attempt(0, state="completed", result_cid="adapter"), attempt(2, state="lost")]
    rows = rows_of(update_tables(attempts, {}, DATASET, diagnostics())["influences"])
    assert rows[0] == {"shard": "s000", "norm": 2.0, "coefficient": 0.5, "influence": 0.4, "cosine": 0.9}
    assert [row["shard"] for row in rows] == ["s000", "s001"]
    assert "influences" not in update_tables(attempts, {}, DATASET)


def test_a_shard_tells_where_its_rows_are():
    rows, labels = SHARDS[0].model_copy(update={"labels": {"no": 4}, "tokens": 7}), {"labels": "no 4"}
    assert shard_facts(rows) == {"value": "", "rows": 10, "tokens": 7, "bytes": 100, **labels}
    claimed = ShardManifest(key="s000", cid=CID, form="node-local", node="atlas1a", claimed=True, rows=12, bytes=0)
    facts = {"form": "node-local", "node": "atlas1a", "rows": 12}
    assert shard_facts(claimed) == {**facts, "rows_are": "claimed"}
    assert shard_facts(claimed.model_copy(update={"claimed": False})) == {**facts, "rows_are": "trusted"}
    shown = shard_tables([claimed])
    (row,) = rows_of(shown["shards"])
    assert (row["shard"], row["node"]) == ("s000", "atlas1a")
    assert rows_of(shown["shards_cids"]) == [{"shard": "s000", "cid": CID}]


def test_what_the_gates_kept_out_is_listed_with_its_reason():
    refused = RefusedUpdate(shard="s001", attempt=2, adapter=None, gate="copy", reason="is another node's")
    assert rows_of(refused_table([refused])) == [
        {"shard": "s001", "attempt": 2, "gate": "copy", "reason": "is another node's", "adapter": ""}
    ]


def test_diagnostics_are_numbers_and_tables():
    found = diagnostics_metadata(diagnostics())
    assert found["diagnostics"].value == diagnostics().cid
    assert (found["naive_residual"].value, found["effective_rank"].value, found["median_cosine"].value) == (
        0.25,
        3.5,
        0.3,
    )
    assert rows_of(found["cosines"]) == [
        {"shard": "s000", "s000": 1.0, "s001": 0.3},
        {"shard": "s001", "s000": 0.3, "s001": 1.0},
    ]
    assert rows_of(found["effective_ranks"])[1] == {"module": "value", "effective_rank": 4.0}


def test_a_table_of_cosines_grows_with_the_updates_in_one_direction_only():
    matrix = [[1.0 if row == column else (row + column) / 100 for column in range(9)] for row in range(9)]
    rows = rows_of(diagnostics_metadata(diagnostics(9, cosine_matrix=matrix))["cosines"])
    assert len(rows) == 9
    assert rows[1] == {"shard": "s001", "lowest": 0.01, "median": 0.05, "highest": 0.09}


def test_the_cosines_of_a_large_round_are_summed_up_and_a_single_update_has_none():
    (row,) = rows_of(diagnostics_metadata(diagnostics(cosine_matrix=None))["cosines"])
    assert row["median"] == 0.3
    alone = diagnostics_metadata(diagnostics(count=1, cosines=None, cosine_matrix=[[1.0]]))
    assert "cosines" not in alone


def test_a_metric_that_only_one_side_has_is_left_open():
    assert rows_of(metrics_table({"loss": 1.0}, {"loss": 0.5, "accuracy": 0.8})) == [
        {"metric": "accuracy", "base": "", "checkpoint": 0.8},
        {"metric": "loss", "base": 1.0, "checkpoint": 0.5},
    ]


def test_a_payout_shows_how_it_came_about():
    paid = Payout(node=1, address="atlas1", count=2, tokens=2200, score=1045, bps=5935, amount=296_750)
    idle = Payout(node=2, address="atlas2", count=1, tokens=0, score=None, bps=2000, amount=100_000)
    first, second = rows_of(payout_tables([paid, idle])["payouts"])
    assert (first["tasks"], first["tokens"], first["score"], first["basis_points"], first["credited"]) == (
        2, 2200, "1.045", 5935, 296_750,
    )  # fmt: skip
    assert (second["score"], second["credited"]) == ("", 100_000)


def test_a_table_without_rows_is_a_table():
    assert rows_of(table([])) == []
