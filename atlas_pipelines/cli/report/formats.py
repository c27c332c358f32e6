"""Reports for programs: JSON with the job reports, and CSV with one measurement per line. Pure."""

import csv
import io
import json
from collections.abc import Sequence

from resources.reports.measurements import Measurement, measurements
from resources.reports.report import JobReport


def report_json(reports: Sequence[JobReport]) -> str:
    """A JSON object whose `jobs` are the reports, in the given order."""
    return json.dumps({"jobs": [one.model_dump(mode="json") for one in reports]}, indent=2) + "\n"


def report_csv(reports: Sequence[JobReport]) -> str:
    """A line per measurement: job, round, what was measured (a round, a shard or a node), its name, measure, value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Measurement._fields)
    writer.writerows(one for report in reports for one in measurements(report))
    return text.getvalue()
