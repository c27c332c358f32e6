"""Which of a trainer's messages count as progress, and how often stages are reported."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from atlas import activity
from node_agent.imports import report_imports
from node_agent.tasks.progress_messages import StageReports, custom, is_sign, payload_of


@pytest.mark.parametrize(
    ("message", "counts"),
    [
        ({"method": "opened", "params": {}}, True),
        (custom({"kind": "progress", "step": 1}), True),
        (custom({"kind": "stage", "stage": "loading the model", "bytes": 0}), True),
        (custom({"kind": "restarted", "reason": "x", "step": 1}), False),
        ({"method": "log", "params": {"message": "still here"}}, False),
        ({"method": "closed", "params": {}}, False),
        ({"method": "report_custom_message", "params": {"payload": {"kind": ["progress"]}}}, False),
        ({"method": "report_custom_message", "params": None}, False),
        ({}, False),
    ],
)
def test_only_work_that_advances_is_a_sign(message: dict[str, Any], counts: bool) -> None:
    assert is_sign(message) is counts


def test_a_payload_is_read_from_a_custom_message_alone() -> None:
    assert payload_of(custom({"kind": "stage"})) == {"kind": "stage"}
    assert payload_of({"method": "log", "params": {"message": "x"}}) == {}


def test_each_module_that_is_imported_is_a_sign_and_is_imported_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, code in (("outer_module", "import inner_module"), ("inner_module", "value = 3")):
        (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    reports: list[str | None] = []
    with activity.listening(lambda stage, size: reports.append(stage)):
        report_imports()
        assert importlib.import_module("outer_module").inner_module.value == 3
    assert reports == ["importing the training libraries", None, None]


def test_a_stage_is_told_at_once_and_its_bytes_once_a_second() -> None:
    sent: list[dict[str, Any]] = []
    times = iter([0.0, 0.1, 0.2, 1.1, 1.2, 1.3])
    reports = StageReports(sent.append, lambda: next(times))
    reports("fetching its inputs", 0)
    for _ in range(3):
        reports(None, 5)
    reports(None, 5)
    reports("loading the model", 0)
    assert [(one["stage"], one["bytes"]) for one in sent] == [
        ("fetching its inputs", 0),
        ("fetching its inputs", 15),
        ("loading the model", 0),
    ]
