import json
import shutil
import xml.etree.ElementTree as ET

import pytest

from benchmarks.aggregation.plots import dot_chart, line_chart
from benchmarks.aggregation.render import DOCS, render
from benchmarks.aggregation.results import RESULTS

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def docs(tmp_path):
    shutil.copy(DOCS / "benchmarks.md", tmp_path)
    return tmp_path


def merge_entry(seconds: float, error: float) -> dict:
    ours = {"seconds": seconds, "megabytes": 15.0, "error": error}
    return {"atlas qr-svd": ours, "peft svd": {"seconds": 4.0, "megabytes": 640.0, "error": 0.028}}


@pytest.mark.parametrize(
    ("seconds", "error", "expected"),
    [(0.03, 0.028, "pass"), (0.05, 0.028, "**fail**"), (0.03, 0.0281, "**fail**")],
)
def test_a_table_says_whether_its_target_is_met(docs, seconds, error, expected):
    waiting = render({"merge/shared-start-10x16-d2048": merge_entry(seconds, error)}, docs)
    line = next(one for one in (docs / "benchmarks.md").read_text().splitlines() if "| atlas qr-svd |" in one)
    assert line.split(" | ")[-1] == f"{expected} |"
    assert "merge" not in waiting
    assert "strategies" in waiting


def test_what_has_no_results_stays_as_it_is(docs):
    before = (docs / "benchmarks.md").read_text()
    render({}, docs)
    assert (docs / "benchmarks.md").read_text() == before
    assert not list(docs.glob("*.svg"))


def test_the_page_shows_the_committed_results(docs):
    if not RESULTS.exists():
        pytest.skip("nothing has been measured yet")
    render(json.loads(RESULTS.read_text()), docs)
    assert (docs / "benchmarks.md").read_text() == (DOCS / "benchmarks.md").read_text()


def test_a_page_without_the_markers_is_refused(docs):
    (docs / "benchmarks.md").write_text("# Benchmarks\n")
    with pytest.raises(ValueError, match="<!-- merge -->"):
        render({"merge/shared-start-10x16-d2048": merge_entry(0.03, 0.028)}, docs)


def test_lines_rise_with_their_values():
    svg = ET.fromstring(line_chart("a < b", {"one": [(10, 1), (100, 10), (1000, 100)]}, "n"))
    places = [tuple(map(float, pair.split(","))) for pair in svg.find(f"{SVG}polyline").get("points").split()]
    (x1, y1), (x2, y2), (x3, y3) = places
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2)
    assert y1 - y2 == pytest.approx(y2 - y3, abs=0.2)
    assert y1 > y2


def test_dots_beyond_the_ends_lie_at_them():
    rows = {
        "low": {"ours": (0.1, 0.1, 0.1)},
        "in between": {"ours": (0.5, 0.4, 0.6)},
        "high": {"ours": (0.9, 0.9, 0.9)},
    }
    svg = ET.fromstring(dot_chart("t", rows, "accuracy", (0.3, 0.7), left=100))
    *_, low, middle, high = (float(circle.get("cx")) for circle in svg.iter(f"{SVG}circle"))
    assert (low, high) == (100.0, 660.0)
    assert middle == 380.0
