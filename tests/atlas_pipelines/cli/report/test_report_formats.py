"""One report in three forms: the page stands alone, and CSV and JSON agree."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from atlas.content.format.cid import cid_of_bytes
from atlas_pipelines.cli.report.formats import report_csv, report_json
from atlas_pipelines.cli.report.page import report_page
from resources.reports.measurements import measurements
from resources.reports.report import JobReport, PayoutReport, TaskReport
from resources.reports.summary import RoundSummary

CID = cid_of_bytes(b"any")


def task(number: int, shard: str | None, node: int, loss: float | None, **changes) -> TaskReport:
    facts = {"state": "completed", "adapter": CID, "receipt": CID, "reason": None, "seconds": 2.5, **changes}
    size = None if shard is None else 1000 + number
    return TaskReport(round=number, shard=shard, node=node, attempt=1, loss=loss, bytes=size, tokens=40, **facts)


def job(name: str = "demo", better: float = 0.0) -> JobReport:
    return JobReport(
        job=name,
        state="open",
        contract="atlas1c",
        job_on_chain=3,
        model="package:<minilm>",
        dataset="rows.csv",
        rows=20,
        shards=2,
        strategy="fedavg",
        rule="none",
        ordered_rounds=4,
        denomination="uatl",
        main_metric="accuracy",
        base={"loss": 0.9, "accuracy": 0.5, "rows": 8.0},
        rounds=[
            RoundSummary(round=at, checkpoint=CID, metrics={"loss": 0.9 - at / 8, "accuracy": 0.5 + better, "rows": 8})
            for at in (1, 2)
        ],
        tasks=[
            *(task(at, f"s00{shard}", 7 + shard, 0.8 - at / 10) for at in (1, 2) for shard in range(2)),
            task(2, None, 7, None),
            TaskReport(
                round=3, shard="s000", node=7, attempt=1, state="lost", adapter=None, receipt=None, reason="silence"
            ),
        ],
        payouts=[PayoutReport(round=1, node=node, tasks=1, amount=100 * node, settled=True) for node in (7, 8)],
        checkpoint=CID,
    )


class Page(HTMLParser):
    """The elements of a page, their attributes, and the texts of its table cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.cells: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("href", "src", "srcset", "action", "xlink:href")]

    def handle_data(self, data):
        if self.tags[-1:] == ["td"]:
            self.cells.append(data)


@pytest.mark.parametrize("reports", [[job()], [job(), job("other", 0.25)]], ids=["one", "two"])
def test_the_page_needs_nothing_but_itself(reports):
    text = report_page(reports)
    page = Page(text)
    assert page.links == []
    assert {"script", "link", "iframe", "object", "img"}.isdisjoint(page.tags)
    assert not re.search(r"url\(|@import", text)
    assert "default-src 'none'" in text
    assert text.count("http") == len(re.findall(r'xmlns="http://www.w3.org/2000/svg"|http-equiv', text))
    assert page.tags.count("h1") == (1 if len(reports) == 1 else 3)
    assert "package:<minilm>" in "".join(page.cells), "what a person typed is escaped"


def test_the_pictures_of_a_page_are_whole():
    pictures = re.findall(r"<svg.*?</svg>", report_page([job()]), re.DOTALL)
    assert len(pictures) == 6
    assert all(ET.fromstring(picture).tag.endswith("svg") for picture in pictures)


def test_several_jobs_are_compared_before_they_are_shown():
    text = report_page([job(), job("other", 0.25)])
    comparison = text[: text.index("<h1>demo</h1>")]
    assert [name in comparison for name in (">demo<", ">other<", "2 of 4", "0.75")] == [True] * 4
    assert comparison.count("<svg") == 2


def test_csv_and_json_agree():
    reports = [job(), job("other", 0.25)]
    lines = list(csv.DictReader(io.StringIO(report_csv(reports))))
    again = [JobReport.model_validate(one) for one in json.loads(report_json(reports))["jobs"]]
    assert again == reports
    said = [(line["job"], int(line["round"]), line["of"], line["name"], line["measure"]) for line in lines]
    assert said == [tuple(one[:-1]) for report in again for one in measurements(report)]
    assert [float(line["value"]) for line in lines] == [one.value for report in again for one in measurements(report)]
    assert len(set(said)) == len(said)


def test_a_round_adds_up_its_tasks():
    found = {one[1:-1]: one.value for one in measurements(job())}
    assert found[(0, "round", "", "loss")] == 0.9
    assert (found[(2, "round", "", "bytes")], found[(2, "round", "", "seconds")]) == (2004, 7.5)
    assert (found[(3, "round", "", "completed tasks")], found[(3, "round", "", "failed tasks")]) == (0, 1)
    assert found[(1, "round", "", "paid")] == found[(1, "node", "7", "paid")] + found[(1, "node", "8", "paid")] == 1500
    assert (3, "shard", "s000", "training loss") not in found


def test_a_job_without_a_round_has_a_page():
    empty = job().model_copy(update={"base": {}, "rounds": [], "tasks": [], "payouts": [], "checkpoint": None})
    text = report_page([empty])
    assert "<svg" not in text
    assert "None yet." in text
    assert report_csv([empty]) == "job,round,of,name,measure,value\n"
