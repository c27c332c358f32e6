"""A trainer that fails leaves its reason on one line; the traceback is in its log."""

import signal
from pathlib import Path
from typing import Any

import pytest

from atlas.documents.manifests import ModelManifest
from atlas.errors import DataError, DivergedError, ModelError, NothingToPredict, SpecError
from atlas.spec.job import JobSpec
from node_agent import trainer
from node_agent.tasks.trainer_files import FAILURE, TrainerFailure, TrainerOrder, failure_kind, failure_reason

ANY = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"


@pytest.fixture
def fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the trainer's `main` in this process on work that raises; its exit code and its reason."""
    spec = JobSpec.from_mapping(
        {
            "name": "tiny",
            "model": {"source": "path:/model", "task": "sequence-classification"},
            "dataset": {"source": "rows.csv", "labels": ["no", "yes"], "shard_by": {"rows": 1}},
            "lora": {"rank": 4, "target_modules": ["query"]},
            "payment": {"budget": 10, "reward_per_task": 1},
        }
    )
    model = ModelManifest(source="path:/model", files={"config.json": ANY})
    order = TrainerOrder(
        kind="initialize", task_id="0" * 16, spec=spec, model=model, cache=tmp_path, threads=1, device=None, parent=1
    )
    order.write(tmp_path / "task.json")

    def run(error: BaseException) -> tuple[Any, str, str]:
        def work(*_: object) -> None:
            raise error

        monkeypatch.setattr(trainer, "execute_order", work)
        monkeypatch.setattr(trainer, "die_with", lambda parent: None)
        monkeypatch.setattr("sys.argv", ["trainer", "--task", str(tmp_path)])
        before = signal.getsignal(signal.SIGTERM)
        try:
            with pytest.raises(SystemExit) as end:
                trainer.main()
        finally:
            signal.signal(signal.SIGTERM, before)
        return end.value.code, TrainerFailure.read(tmp_path / FAILURE).reason, capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("value cannot be converted\nwithout overflow"), "value cannot be converted without overflow"),
        (DataError("row 3 has no label"), "row 3 has no label"),
        (MemoryError(), ""),
        (SystemExit(0), "0"),
        (ValueError("\x1b[31m" * 10_000), "[31m[31m"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_reason_is_one_line_whatever_is_raised(fails: Any, error: BaseException, reason: str) -> None:
    code, written, printed = fails(error)
    assert code == 1
    assert written.startswith(type(error).__name__)
    assert reason in written
    assert written.isprintable()
    assert len(written) < 500
    assert ("Traceback" in printed) is not isinstance(error, DataError), "what is printed last, into the log"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DivergedError("loss nan"), "diverged"),
        (NothingToPredict("no row"), "targets"),
        (SpecError("rank"), "spec"),
        (DataError("the file is gone"), None),
        (ModelError("not installed"), None),
        (OSError(28, "No space left on device"), None),
        (MemoryError(), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_failures_that_another_machine_would_repeat_are_told_from_those_of_this_one(
    fails: Any, tmp_path: Path, error: BaseException, kind: str | None
) -> None:
    fails(error)
    assert failure_kind(tmp_path) == kind


def test_a_trainer_that_wrote_nothing_has_no_kind_of_failure(tmp_path: Path) -> None:
    assert failure_kind(tmp_path) is None


def test_what_was_printed_stands_in_for_a_reason_that_was_not_written(tmp_path: Path) -> None:
    assert failure_reason(tmp_path, "line 1\nFatal Python error: Segmentation fault\n") == (
        "line 1 Fatal Python error: Segmentation fault"
    )
    assert failure_reason(tmp_path, "") == "it printed nothing."


def test_the_reason_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    TrainerFailure(reason="KeyError: 'x'").write(tmp_path / FAILURE)
    assert failure_reason(tmp_path, "noise") == "KeyError: 'x'"
    assert list(tmp_path.iterdir()) == [tmp_path / FAILURE]
