"""The table that a run ends with."""

import io

from rich.console import Console

from atlas_pipelines.cli.run.tables import print_summary
from resources.reports.summary import RoundCheck, RoundSummary, Summary


def told(*rounds: RoundSummary, checks: list[RoundCheck] | None = None) -> str:
    summary = Summary(
        job="tiny", state="open", base={"loss": 0.7, "rows": 40}, rounds=list(rounds), tasks=[], nodes=[],
        checkpoint=None, failed_checks=checks,
    )  # fmt: skip
    text = io.StringIO()
    print_summary(summary, "uatlas", Console(file=text, width=100))
    return text.getvalue()


def test_a_round_that_ended_worse_than_it_started_is_marked_and_said():
    good = RoundSummary(round=1, checkpoint="bafyone", metrics={"loss": 0.3, "rows": 40})
    bad = RoundSummary(round=2, checkpoint="bafytwo", metrics={"loss": 0.5}, worse="loss 0.3000 -> 0.5000")
    text = told(good, bad)
    assert "2, worse" in text
    assert "1, worse" not in text
    assert "round 2 is worse than the checkpoint that it started from: loss 0.3000 -> 0.5000" in " ".join(text.split())


def test_plain_averaging_has_a_row_where_it_was_judged():
    mean = {"loss": 0.6, "accuracy": 0.5, "rows": 20, "reference_loss": 0.31}
    one = RoundSummary(round=1, checkpoint="bafyone", metrics={"loss": 0.3, "accuracy": 0.9}, plain_mean=mean)
    text = told(one)
    row = next(line for line in text.splitlines() if line.startswith("1, plain mean "))
    assert row.split()[3:] == ["0.5000", "0.6000"]
    assert "on 20 held-out rows; there round 1 has loss 0.3100" in " ".join(text.split())
    assert "plain mean" not in told(RoundSummary(round=1, checkpoint="bafyone", metrics={"loss": 0.3}))


def test_failed_checks_are_named_with_round_severity_and_remedy():
    check = {"asset": "round_manifest", "check": "refused_updates", "description": "1 of 5. [ask] node 3."}
    checks = [RoundCheck(round=2, severity="WARN", **check), RoundCheck(round=3, severity="ERROR", **check)]
    text = " ".join(told(checks=checks).split())
    assert "round 2, check refused_updates of round_manifest, warning: 1 of 5. [ask] node 3." in text
    assert "round 3, check refused_updates of round_manifest, error: 1 of 5." in text
    assert ", check " not in told()
