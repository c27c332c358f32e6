"""Inputs and assignments, without a process: what is not genuine is refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.content.local.store import LocalStore
from atlas.documents.manifests import Checkpoint
from atlas.documents.stored import put_document
from atlas.errors import AtlasError, ContentNotFound, CorruptContent, SpecError
from atlas.models.files import model_manifest
from atlas.rounds.checkpoint import untrained_checkpoint
from atlas.spec.job import JobSpec, TaskSpec
from node_agent.home.residuals import Residuals, residual_place
from node_agent.tasks.inputs import data_order_seed, prepare_order

UNTRAINED = b"the untrained adapter"
ROWS = b'{"label":"positive","text":"good"}\n'


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "content")


@pytest.fixture
def spec(tmp_path: Path) -> JobSpec:
    """A model of two files that nobody loads here."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return JobSpec.from_mapping(
        {
            "name": "tiny",
            "model": {"source": f"path:{folder}", "task": "sequence-classification"},
            "dataset": {"source": "rows.csv", "labels": ["negative", "positive"], "shard_by": {"rows": 1}},
            "lora": {"target_modules": ["query"]},
            "payment": {"budget": 10, "reward_per_task": 1},
        }
    )


@pytest.fixture
def task(store: LocalStore, spec: JobSpec, tmp_path: Path) -> TaskSpec:
    job = put_document(store, spec)
    return TaskSpec(
        kind="train",
        contract="atlas1contract",
        job_id=1,
        job=job,
        model=put_document(store, model_manifest(spec.model.source, None, tmp_path)),
        round=1,
        slot=0,
        shard="s000",
        data=store.put(ROWS),
        rows=1,
        base=put_document(store, untrained_checkpoint(job, store.put(UNTRAINED))),
        attempt=1,
    )


def prepare(task: TaskSpec, store: LocalStore, tmp_path: Path, resume: str | None = None) -> Any:
    return prepare_order(task, store.fetch(task.data), resume, store, tmp_path / "cache", 1, "cpu")


def test_all_inputs_become_local_files(task: TaskSpec, store: LocalStore, spec: JobSpec, tmp_path: Path) -> None:
    order = prepare(task, store, tmp_path, resume=store.put(b"a training checkpoint"))
    assert order.spec == spec
    assert order.data.read_bytes() == ROWS
    assert order.base_adapter.read_bytes() == UNTRAINED
    assert (order.merged, order.frozen, order.rank, order.residual) == ([], None, None, None)
    assert order.resume.read_bytes() == b"a training checkpoint"
    assert order.seed == data_order_seed(spec, task)
    order.write(tmp_path / "task.json")
    assert type(order).read(tmp_path / "task.json") == order


def test_the_files_of_a_later_base_are_fetched_factors_in_order(
    task: TaskSpec, store: LocalStore, tmp_path: Path
) -> None:
    adapter, factors = store.put(b"adapter"), [store.put(b"round 1"), store.put(b"round 2")]
    base = Checkpoint(job=task.job, round=2, adapter=adapter, merged=factors, parent=task.base, manifest=task.base)
    later = task.model_copy(update={"round": 3, "base": put_document(store, base)})
    order = prepare(later, store, tmp_path)
    assert order.base_adapter.read_bytes() == b"adapter"
    assert [path.read_bytes() for path in order.merged] == [b"round 1", b"round 2"]
    judged = later.model_copy(update={"kind": "evaluate", "checkpoints": [task.base, later.base]})
    adapters = prepare(judged, store, tmp_path).adapters
    found = [(item.checkpoint, item.adapter.read_bytes(), len(item.merged)) for item in adapters]
    assert found == [(task.base, UNTRAINED, 0), (later.base, b"adapter", 2)]


@pytest.mark.parametrize("field", ["adapter", "merged"])
def test_a_missing_file_of_the_base_is_named(task: TaskSpec, store: LocalStore, tmp_path: Path, field: str) -> None:
    cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
    files = {"adapter": store.put(b"adapter"), "merged": [], field: [cid] if field == "merged" else cid}
    base = Checkpoint(job=task.job, round=1, parent=task.base, manifest=task.base, **files)
    with pytest.raises(ContentNotFound, match=cid):
        prepare(task.model_copy(update={"base": put_document(store, base)}), store, tmp_path)


def for_job(task: TaskSpec, store: LocalStore, spec: JobSpec, **aggregation: Any) -> TaskSpec:
    """The same task of a job with another aggregation."""
    raw = spec.model_dump(mode="json") | {"aggregation": aggregation}
    job = put_document(store, JobSpec.from_mapping(raw))
    base = put_document(store, untrained_checkpoint(job, store.put(UNTRAINED)))
    return task.model_copy(update={"job": job, "base": base})


def test_the_round_and_the_shard_decide_what_is_trained(
    task: TaskSpec, store: LocalStore, spec: JobSpec, tmp_path: Path
) -> None:
    rolora = for_job(task, store, spec, strategy="rolora").model_copy(update={"rank": 2})

    def frozen(task: TaskSpec) -> list[str]:
        return [prepare(task.model_copy(update={"round": number}), store, tmp_path).frozen for number in (1, 2, 3)]

    assert frozen(rolora) == ["A", "B", "A"]
    assert prepare(rolora, store, tmp_path).rank == 2
    assert frozen(for_job(task, store, spec, strategy="ffa")) == ["A", "A", "A"]


def test_what_was_left_over_before_joins_the_next_update(
    task: TaskSpec, store: LocalStore, spec: JobSpec, tmp_path: Path
) -> None:
    residuals = Residuals(tmp_path / "residuals")
    (tmp_path / "left").write_bytes(b"left over")

    def found(task: TaskSpec, round_: int) -> bytes | None:
        later = task.model_copy(update={"round": round_})
        path = prepare_order(
            later, store.fetch(later.data), None, store, tmp_path / "cache", 1, "cpu", residuals
        ).residual
        return None if path is None else path.read_bytes()

    for job_id, strategy in enumerate(("fedavg", "rolora"), 1):
        job = for_job(task, store, spec, strategy=strategy, compression="top-k")
        job = job.model_copy(update={"job_id": job_id})
        residuals.keep(residual_place(job), 1, tmp_path / "left", now=1.0)
        assert [found(job, round_) for round_ in (1, 2, 3)] == [None, b"left over", b"left over"]
        assert found(job.model_copy(update={"shard": "s001"}), 2) is None


@pytest.mark.parametrize("field", ["job", "model", "data", "base"])
def test_a_missing_input_is_named(task: TaskSpec, store: LocalStore, tmp_path: Path, field: str) -> None:
    cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
    with pytest.raises(ContentNotFound, match=cid):
        prepare(task.model_copy(update={field: cid}), store, tmp_path)


@pytest.mark.parametrize("field", ["job", "model", "data", "base"])
def test_an_altered_input_is_named(task: TaskSpec, store: LocalStore, tmp_path: Path, field: str) -> None:
    cid = getattr(task, field)
    path = store.fetch(cid)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(CorruptContent, match=cid):
        prepare(task, store, tmp_path)


def test_a_checkpoint_of_another_job_is_refused(task: TaskSpec, store: LocalStore, tmp_path: Path) -> None:
    foreign = put_document(store, untrained_checkpoint(task.data, task.data))
    with pytest.raises(SpecError, match=f"is of job {task.data}"):
        prepare(task.model_copy(update={"base": foreign}), store, tmp_path)


def test_a_model_that_is_not_here_is_an_error(task: TaskSpec, store: LocalStore, spec: JobSpec, tmp_path: Path) -> None:
    for path in Path(spec.model.source.removeprefix("path:")).iterdir():
        path.unlink()
    with pytest.raises(AtlasError, match=r"config\.json"):
        prepare(task, store, tmp_path)


def test_a_missing_training_checkpoint_only_costs_time(task: TaskSpec, store: LocalStore, tmp_path: Path) -> None:
    cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
    assert prepare(task, store, tmp_path, resume=cid).resume is None


@given(st.integers(1, 9999), st.integers(1, 9), st.integers(0, 99))
def test_the_order_of_data_depends_on_seed_data_and_round_alone(round_: int, attempt: int, slot: int) -> None:
    fields = {"contract": "c", "job_id": 1, "job": "j", "model": "m", "rows": 1, "base": "b"}
    one = TaskSpec(kind="train", round=round_, slot=slot, data="d", attempt=attempt, **fields)
    spec = JobSpec.model_validate_json(json.dumps(SPEC))
    seed = data_order_seed(spec, one)
    assert 0 <= seed < 2**31
    assert seed == data_order_seed(spec, one.model_copy(update={"attempt": attempt + 1, "slot": slot + 1, "base": "x"}))
    assert seed != data_order_seed(spec, one.model_copy(update={"round": round_ + 1}))
    assert seed != data_order_seed(spec, one.model_copy(update={"data": "e"}))


def test_the_seed_is_the_documented_number() -> None:
    """sha256("17:d:1") by an outside program, modulo 2**31."""
    fields = {"contract": "c", "job_id": 1, "job": "j", "model": "m", "rows": 1, "base": "b", "attempt": 1, "slot": 0}
    task = TaskSpec(kind="train", round=1, data="d", **fields)
    assert data_order_seed(JobSpec.model_validate_json(json.dumps(SPEC)), task) == EXPECTED_SEED


SPEC = {
    "name": "tiny",
    "model": {"source": "path:/nowhere", "task": "causal-lm"},
    "dataset": {"source": "rows.csv", "shard_by": {"rows": 1}},
    "lora": {"target_modules": ["q"]},
    "payment": {"budget": 10, "reward_per_task": 1},
}
EXPECTED_SEED = 1766914042
