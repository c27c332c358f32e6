"""The trainer process itself, on a tiny model: its messages, its exit codes, and what it will not do."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest
from dagster_pipes import encode_param

from atlas.aggregation.compression.wire import decode_update
from atlas.content.format.cid import cid_of_file
from atlas.content.local.store import LocalStore
from atlas.data.prepare import prepare_dataset
from atlas.errors import TrainingError
from atlas.models.files import model_manifest
from atlas.spec.job import JobSpec
from node_agent import trainer
from node_agent.errors import TrainerFailed
from node_agent.tasks.run_here import run_trainer
from node_agent.tasks.trainer_files import (
    EXIT_STOPPED,
    TASK_ENDED,
    EvaluatedAdapter,
    TrainerCall,
    TrainerOrder,
    TrainerResult,
)
from node_agent.tasks.trainer_process import trainer_command, trainer_environment
from node_agent.trainer import CONTEXT, MESSAGES, pipes_parameters

TASK_ID = "0123456789abcdef"


@pytest.fixture(scope="module")
def untrained(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The adapter of round 0, which depends on little of a spec: model, labels, LoRA shape and seed."""
    folder = tmp_path_factory.mktemp("untrained")
    spec = JobSpec.from_mapping(
        {
            "name": "tiny",
            "model": {"source": f"path:{tiny_model}", "task": "sequence-classification"},
            "dataset": {"source": "rows.csv", "labels": ["negative", "positive"], "shard_by": {"rows": 1}},
            "lora": {"rank": 4, "alpha": 8, "target_modules": ["query", "value"]},
            "training": {"max_length": 16},
            "payment": {"budget": 10, "reward_per_task": 1},
        }
    )
    order = TrainerOrder(
        kind="initialize",
        task_id=TASK_ID,
        spec=spec,
        model=model_manifest(spec.model.source, None, folder),
        cache=folder,
        threads=1,
        device="cpu",
        parent=os.getpid(),
    )
    adapter = run_trainer(order, folder / "work", os.environ).adapter
    assert adapter is not None
    return adapter


@pytest.fixture
def order(tiny_spec: Any, untrained: Path, tmp_path: Path) -> Callable[..., TrainerOrder]:
    """A work order over the first shard of the tiny dataset."""

    def build(training: dict[str, Any], sections: dict[str, Any] | None = None, **changes: Any) -> TrainerOrder:
        spec = JobSpec.load(tiny_spec(training={"batch_size": 4, **training}, **(sections or {})))
        store = LocalStore(tmp_path / "content")
        dataset = prepare_dataset(spec.dataset, store, tmp_path / "cache", spec.training.seed)
        fields = {
            "kind": "train",
            "task_id": TASK_ID,
            "spec": spec,
            "model": model_manifest(spec.model.source, None, tmp_path / "cache"),
            "data": store.fetch(dataset.shards[0].cid),
            "cache": tmp_path / "cache",
            "threads": 1,
            "device": "cpu",
            "parent": os.getpid(),
            "seed": 3,
            "base_adapter": untrained,
        }
        return TrainerOrder.model_validate({**fields, **changes})

    return build


class Worker:
    """A worker process over `folder/task.json`."""

    def __init__(self, folder: Path, order: TrainerOrder) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        order.write(folder / "task.json")
        self.process = subprocess.Popen(
            trainer_command("--task", str(folder)),
            cwd=folder,
            env=trainer_environment(os.environ, 1, "", order.cache),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def next_message(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()
        return json.loads(line)

    def end(self) -> tuple[int, list[dict[str, Any]], str]:
        output, errors = self.process.communicate(timeout=300)
        return self.process.returncode, [json.loads(line) for line in output.splitlines() if line[:1] == "{"], errors


def payloads(messages: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    customs = [m["params"]["payload"] for m in messages if m["method"] == "report_custom_message"]
    return [payload for payload in customs if payload["kind"] == kind]


class Waiting:
    """A trainer that waits for tasks."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.process = subprocess.Popen(
            trainer_command("--wait", str(folder)),
            cwd=folder,
            env=trainer_environment(os.environ, 1, "", folder / "cache"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.communicate(timeout=60)

    def run(self, name: str, order: TrainerOrder) -> list[dict[str, Any]]:
        """The messages of a task that succeeds."""
        folder = self.folder / name
        folder.mkdir()
        order.write(folder / "task.json")
        context = {"data": {"run_id": name, "extras": {}, "asset_keys": None}}
        call = TrainerCall(folder=folder, log=self.folder / f"{name}.log", pipes={CONTEXT: encode_param(context)})
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(call.line())
        self.process.stdin.flush()
        lines = iter(self.process.stdout.readline, TASK_ENDED)
        found = []
        for line in lines:
            assert line, call.log.read_text()
            found.append(json.loads(line))
        return found


@pytest.mark.slow
def test_the_tasks_of_one_process_give_the_bytes_of_new_processes(order: Any, untrained: Path, tmp_path: Path) -> None:
    """Among them one with dropout, one that evaluates, and the first one again: no state is left behind."""
    works = [
        order({"steps": 6}),
        order({"steps": 4}, {"lora": {"dropout": 0.3}}, seed=8),
        order({}, kind="evaluate", adapters=[EvaluatedAdapter(checkpoint="base", adapter=untrained)]),
        order({"steps": 6}),
    ]
    with Waiting(tmp_path / "waiting") as waiting:
        for number, work in enumerate(works):
            folder = tmp_path / f"new-{number}"
            code, messages, errors = Worker(folder, work).end()
            assert code == 0, errors
            told = waiting.run(f"task-{number}", work)
            assert len(payloads(told, "progress")) == len(payloads(messages, "progress"))
            expected, found = (
                TrainerResult.read(one / "result.json") for one in (folder, waiting.folder / f"task-{number}")
            )
            assert found.metrics == expected.metrics
            assert found.losses == expected.losses
            if expected.adapter is not None:
                assert found.adapter.read_bytes() == expected.adapter.read_bytes()
    assert waiting.process.returncode == 0, "its input has ended"


@pytest.mark.slow
def test_a_waiting_process_ends_with_a_task_that_fails(order: Any, tmp_path: Path) -> None:
    waiting = Waiting(tmp_path / "waiting")
    waiting.run("fine", order({"steps": 2}))
    folder = waiting.folder / "bad"
    folder.mkdir()
    order({}, base_adapter=tmp_path / "missing").write(folder / "task.json")
    call = TrainerCall(folder=folder, log=waiting.folder / "bad.log", pipes={})
    output, _ = waiting.process.communicate(call.line(), timeout=300)
    assert waiting.process.returncode == 1
    assert TASK_ENDED not in output
    assert "missing" in call.log.read_text(), "errors are in the log of their task"
    assert "missing" not in (waiting.folder / "fine.log").read_text()


@pytest.mark.slow
def test_a_stopped_worker_leaves_a_checkpoint_and_the_next_one_ends_with_the_same_adapter(
    order: Any, tmp_path: Path
) -> None:
    work = order({"steps": 400, "checkpoint_every": 1000})
    whole = Worker(tmp_path / "whole", work)
    first = Worker(tmp_path / "first", work)
    while not payloads([first.next_message()], "progress"):
        pass
    first.process.send_signal(signal.SIGTERM)
    code, messages, errors = first.end()
    assert code == EXIT_STOPPED, errors
    assert not (tmp_path / "first" / "result.json").exists()
    (saved,) = payloads(messages, "checkpoint")
    assert 0 < saved["step"] < 400
    assert messages[-1]["method"] == "closed"

    second = Worker(tmp_path / "second", work.model_copy(update={"resume": Path(saved["path"])}))
    code, messages, errors = second.end()
    assert code == 0, errors
    assert payloads(messages, "progress")[0]["step"] == saved["step"] + 1
    result = TrainerResult.read(tmp_path / "second" / "result.json")
    assert (result.resumed, result.steps, len(result.losses)) == (True, 400, 400)
    assert whole.end()[0] == 0
    undisturbed = TrainerResult.read(tmp_path / "whole" / "result.json")
    assert result.adapter is not None
    assert undisturbed.adapter is not None
    assert result.adapter.read_bytes() == undisturbed.adapter.read_bytes()

    # The checkpoint of another run (here: another seed) is passed over, not obeyed, and not fatal.
    other = work.model_copy(update={"resume": Path(saved["path"]), "seed": 4})
    third = Worker(tmp_path / "third", other)
    code, messages, errors = third.end()
    assert code == 0, errors
    assert payloads(messages, "progress")[0]["step"] == 1
    assert TrainerResult.read(tmp_path / "third" / "result.json").resumed is False
    assert any("starting from the beginning" in m["params"]["message"] for m in messages if m["method"] == "log")


@pytest.mark.slow
def test_every_stage_before_the_first_step_is_told(order: Any, tmp_path: Path) -> None:
    code, messages, errors = Worker(tmp_path / "work", order({"steps": 2})).end()
    assert code == 0, errors
    stages = [payload["stage"] for payload in payloads(messages, "stage")]
    assert list(dict.fromkeys(stages)) == [
        "importing the training libraries",
        "reading its rows",
        "verifying the model's files",
        "loading the model",
        "loading the adapter",
        "tokenizing",
        "training",
    ]


@pytest.mark.slow
def test_an_evaluation_is_measured_and_stops_when_told(order: Any, untrained: Path, tmp_path: Path) -> None:
    judged = [EvaluatedAdapter(checkpoint=name, adapter=untrained) for name in ("base", "result")]
    work = order({}, kind="evaluate", adapters=judged)
    code, messages, errors = Worker(tmp_path / "whole", work).end()
    assert code == 0, errors
    result = TrainerResult.read(tmp_path / "whole" / "result.json")
    assert set(result.metrics["base"]) == {"loss", "accuracy", "macro_f1", "rows"}
    assert result.metrics["result"] == result.metrics["base"] | {"loss_change_error": 0, "accuracy_change_error": 0}
    assert result.adapter is None
    assert result.steps == len(payloads(messages, "progress"))

    many = [EvaluatedAdapter(checkpoint=f"base-{number}", adapter=untrained) for number in range(2000)]
    stopped = Worker(tmp_path / "stopped", order({}, kind="evaluate", adapters=many))
    while not payloads([stopped.next_message()], "progress"):
        pass
    stopped.process.send_signal(signal.SIGTERM)
    code, _, errors = stopped.end()
    assert code == EXIT_STOPPED, errors
    assert not (tmp_path / "stopped" / "result.json").exists()


@pytest.mark.slow
def test_a_stop_that_a_library_turns_into_its_own_error_is_still_a_stop(
    order: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unlucky_library(*_: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        except BaseException as error:
            raise TrainingError("Cannot load the adapter.") from error

    order({}).write(tmp_path / "task.json")
    monkeypatch.setattr(trainer, "execute_order", unlucky_library)
    monkeypatch.setattr(trainer, "die_with", lambda parent: None)
    monkeypatch.setattr("sys.argv", ["trainer", "--task", str(tmp_path)])
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as end:
            trainer.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert end.value.code == EXIT_STOPPED


@pytest.mark.slow
def test_the_untrained_adapter_is_that_of_the_model(order: Any, untrained: Path, tmp_path: Path) -> None:
    from atlas.training.models.initialize import initialize

    work = order({})
    initialize(work.spec, work.model, work.cache, tmp_path / "expected.safetensors", threads=1)
    assert untrained.read_bytes() == (tmp_path / "expected.safetensors").read_bytes()


@pytest.mark.slow
def test_own_work_that_fails_ends_with_the_workers_last_words(order: Any, tmp_path: Path) -> None:
    work, folder = order({}), tmp_path / "work"
    folder.mkdir()
    (folder / "result.json").write_text("{}")  # of an earlier try
    with pytest.raises(TrainerFailed, match="exit code 1: NodeError: The work order lacks base_adapter"):
        run_trainer(work.model_copy(update={"base_adapter": None}), folder, os.environ)
    assert not (folder / "result.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("aggregation", "shape"),
    [
        ({"strategy": "fedavg", "compression": "top-k"}, {}),
        ({"strategy": "rolora", "compression": "top-k"}, {"frozen": "A"}),
        ({"strategy": "stack", "compression": "int8"}, {"rank": 2}),
    ],
)
def test_a_compressed_update_is_what_everybody_decodes(
    aggregation: dict[str, Any], shape: dict[str, Any], order: Any, tmp_path: Path
) -> None:
    plain = order({"steps": 2}, {"aggregation": aggregation}, **shape)
    compression = plain.spec.aggregation.compression
    work = plain.model_copy(update={"compression": compression})
    trained = run_trainer(plain, tmp_path / "plain", os.environ)
    sent = run_trainer(work, tmp_path / "sent", os.environ)
    assert trained.adapter is not None
    assert trained.encoded is None
    assert sent.adapter is not None
    assert sent.encoded is not None
    decode_update(sent.encoded, work.base_adapter, compression, tmp_path / "decoded")
    assert sent.adapter.read_bytes() == (tmp_path / "decoded").read_bytes()
    assert sent.adapter.read_bytes() != trained.adapter.read_bytes()
    assert sent.encoded.stat().st_size < trained.adapter.stat().st_size / 2
    assert sent.losses == trained.losses
    assert (sent.residual is None) == (compression.codec == "int8")
    assert sent.added is None
    if sent.residual is None:
        return

    # What was left over goes with the next update, and the same again with the same once more.
    later = work.model_copy(update={"residual": sent.residual})
    first, second = (run_trainer(later, tmp_path / name, os.environ) for name in ("first", "second"))
    assert first.added == cid_of_file(sent.residual)
    assert first.encoded is not None
    assert second.encoded is not None
    assert first.encoded.read_bytes() == second.encoded.read_bytes() != sent.encoded.read_bytes()


@pytest.mark.slow
def test_a_worker_that_is_stopped_while_it_loads_ends_at_once(order: Any, tmp_path: Path) -> None:
    worker = Worker(tmp_path / "work", order({"steps": 100_000}))
    assert worker.next_message()["method"] == "opened"
    worker.process.send_signal(signal.SIGTERM)
    code, messages, _ = worker.end()
    assert code == EXIT_STOPPED
    assert not payloads(messages, "progress")


@pytest.mark.slow
def test_a_foreseen_error_is_a_sentence(order: Any, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"label":"neutral","text":"fine"}\n')
    code, messages, errors = Worker(tmp_path / "work", order({}, data=rows)).end()
    assert code == 1
    assert "DataError: Row 1 of rows.jsonl has the label 'neutral'" in errors
    assert "Traceback" not in errors
    assert messages[-1]["params"]["exception"]["name"] == "DataError"


def test_a_worker_whose_agent_is_gone_does_nothing(order: Any, tmp_path: Path) -> None:
    code, messages, _ = Worker(tmp_path / "work", order({}, parent=1)).end()
    assert (code, messages) == (-signal.SIGKILL, [])


def test_a_worker_without_a_work_order_says_so(tmp_path: Path) -> None:
    environment = trainer_environment(os.environ, 1, "", tmp_path)
    command = [sys.executable, "-m", "node_agent.trainer", "--task", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "task.json" in done.stderr


def test_the_session_of_a_hint_is_joined() -> None:
    context = {"data": {"run_id": "run-1", "extras": {"shard": "s001"}, "asset_keys": ["shard_adapter"]}}
    found = pipes_parameters({CONTEXT: encode_param(context)}, TASK_ID).load_context_params()["data"]
    assert found["run_id"] == "run-1"
    assert found["extras"] == {"shard": "s001"}
    assert found["retry_number"] == 0


def test_without_a_session_the_worker_has_one_of_its_own() -> None:
    assert pipes_parameters({}, TASK_ID).load_context_params()["data"]["run_id"] == TASK_ID


def test_a_hint_cannot_make_a_worker_read_or_write_a_path() -> None:
    hint = {CONTEXT: encode_param({"path": "/etc/passwd"}), MESSAGES: encode_param({"path": "/etc/cron.d/x"})}
    parameters = pipes_parameters(hint, TASK_ID)
    assert set(parameters.load_context_params()) == {"data"}
    assert parameters.load_messages_params() == {"stdio": "stdout"}
