"""Job and task specs: what is accepted, what is filled in, and how a wrong one is named."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.errors import SpecError
from atlas.models.catalogue import MODELS
from atlas.spec.dataset import ShardRule
from atlas.spec.job import JobSpec, TaskSpec

CID = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
NAME = r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?"
OTHER_CID = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"

YAML = """
name: sentiment
model: minilm
dataset:
  source: package:vader-sentiment
  labels: [negative, positive]
  shard_by: {column: domain}
training:
  learning_rate: 1e-3
payment: {budget: 1000000, reward_per_task: 1000}
"""


def mapping(**changes):
    dataset = {"source": "rows.csv", "labels": ["no", "yes"], "shard_by": {"rows": 100}}
    base = {"name": "job", "model": "minilm", "dataset": dataset, "payment": {"budget": 10, "reward_per_task": 1}}
    return base | changes


def dataset(**changes):
    return mapping()["dataset"] | changes


def test_a_job_from_yaml(tmp_path):
    (tmp_path / "job.yaml").write_text(YAML)
    job = JobSpec.load(tmp_path / "job.yaml")
    assert job.model.source == "package:minilm"
    assert job.model.task == "sequence-classification"
    assert job.lora.target_modules == ["query", "value"]
    assert job.training.learning_rate == 0.001
    assert job.dataset.shard_by == ShardRule(column="domain")
    assert (job.rounds, job.training.steps, job.dataset.holdout_rows) == (3, 40, 1000)


def test_the_identity_of_a_job_does_not_depend_on_how_it_is_written(tmp_path):
    (tmp_path / "job.yaml").write_text(YAML)
    job = JobSpec.load(tmp_path / "job.yaml")
    (tmp_path / "job.json").write_text(json.dumps(job.model_dump(), indent=2))
    assert JobSpec.load(tmp_path / "job.json").cid == job.cid
    assert JobSpec.from_bytes(job.canonical_bytes()).cid == job.cid


@pytest.mark.parametrize("name", MODELS)
def test_the_catalogue_fills_in_task_and_targets(name):
    known = MODELS[name]
    short = JobSpec.from_mapping(mapping(model=name))
    assert short.model.model_dump() == {"source": known.source, "revision": None, "task": known.task}
    assert short.lora.target_modules == list(known.target_modules)
    for model in (known.source, {"source": name}, {"source": known.source, "task": known.task}):
        assert JobSpec.from_mapping(mapping(model=model)) == short


def test_patience_for_progress_is_part_of_a_job_s_identity_only_where_it_is_not_the_default():
    plain = JobSpec.from_mapping(mapping())
    same = JobSpec.from_mapping(mapping(fleet={"progress_seconds": 300}))
    other = JobSpec.from_mapping(mapping(fleet={"progress_seconds": 60}))
    assert plain.fleet.progress_seconds == 300
    assert b"progress_seconds" not in plain.canonical_bytes()
    assert plain.cid == same.cid != other.cid
    assert JobSpec.from_bytes(other.canonical_bytes()) == other


def test_what_is_given_wins_over_the_catalogue():
    job = JobSpec.from_mapping(
        mapping(model={"source": "smollm2", "task": "causal-lm"}, lora={"target_modules": ["o_proj"]})
    )
    assert (job.model.source, job.lora.target_modules, job.lora.rank) == ("package:smollm2", ["o_proj"], 8)


def test_the_given_mapping_is_not_changed():
    raw = mapping(lora={"rank": 4})
    before = json.dumps(raw)
    JobSpec.from_mapping(raw)
    assert json.dumps(raw) == before


def test_an_unknown_model_must_say_its_task_and_targets():
    with pytest.raises(SpecError) as caught:
        JobSpec.from_mapping(mapping(model="hub:acme/model"))
    assert str(caught.value).splitlines()[1:] == ["model.task: Field required", "lora: Field required"]
    model = {"source": "hub:acme/model", "task": "causal-lm"}
    assert JobSpec.from_mapping(mapping(model=model, lora={"target_modules": ["q"]})).model.source == "hub:acme/model"


def test_a_causal_job_needs_no_labels():
    job = JobSpec.from_mapping(mapping(model="smollm2", dataset=dataset(labels=[], label_column=None)))
    assert job.dataset.labels == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Job"}, "name: String should match pattern"),
        ({"name": "-job"}, "name: String should match pattern"),
        ({"name": "job\n"}, "name: String should match pattern"),
        ({"name": "a" * 49}, "name: String should match pattern"),
        ({"name": 7}, "name: Input should be a valid string (found 7)"),
        ({"rounds": 0}, "rounds: Input should be greater than 0 (found 0)"),
        ({"rounds": 10_000}, "rounds: Input should be less than or equal to 9999 (found 10000)"),
        ({"model": 3}, "model: Input should be a valid dictionary"),
        ({"model": {"task": "causal-lm"}}, "model.source: Field required"),
        ({"model": {"source": "minilm", "task": "image"}}, "model.task: Input should be 'sequence-classification'"),
        ({"lora": 8}, "lora: Input should be a valid dictionary"),
        ({"lora": "rank"}, "lora: Input should be a valid dictionary"),
        ({"lora": {"target_modules": []}}, "lora.target_modules: List should have at least 1 item"),
        ({"lora": {"rank": 0}}, "lora.rank: Input should be greater than 0 (found 0)"),
        ({"lora": {"dropout": 1.0}}, "lora.dropout: Input should be less than 1 (found 1.0)"),
        ({"lora": {"ranks": 8}}, "lora.ranks: Extra inputs are not permitted (found 8)"),
        ({"training": {"learning_rate": float("nan")}}, "training.learning_rate: Input should be a finite number"),
        ({"training": {"learning_rate": 0}}, "training.learning_rate: Input should be greater than 0 (found 0)"),
        ({"training": {"steps": 1.5}}, "training.steps: Input should be a valid integer"),
        ({"training": {"schedule": "sudden"}}, "training.schedule: Input should be 'constant', 'linear' or 'cosine'"),
        ({"training": {"seed": 2**31}}, "training.seed: Input should be less than 2147483648"),
        ({"aggregation": {"quorum": 0}}, "aggregation.quorum: Input should be greater than 0 (found 0)"),
        ({"aggregation": {"robust": 7}}, "aggregation.robust: Input should be a valid dictionary"),
        ({"aggregation": {"gates": {"copy_cosine": 2}}}, "aggregation.gates.copy_cosine: Input should be less than or"),
        ({"training": {"proximal": -1}}, "training.proximal: Input should be greater than or equal to 0 (found -1)"),
        ({"payment": {"budget": 10}}, "payment.reward_per_task: Field required"),
        ({"payment": {"budget": 2**53, "reward_per_task": 1}}, "payment.budget: Input should be less than 90071992547"),
        ({"dataset": dataset(holdout_fraction=1)}, "dataset.holdout_fraction: Input should be less than 1 (found 1)"),
        ({"dataset": dataset(shard_by={})}, "dataset.shard_by: Value error, give exactly one of column, rows, bytes"),
        ({"dataset": dataset(shard_by={"rows": 0})}, "dataset.shard_by.rows: Input should be greater than 0 (found 0)"),
        ({"dataset": dataset(labels=["no"])}, "dataset.labels: sequence-classification needs a label_column and two"),
        ({"dataset": dataset(label_column=None)}, "dataset.labels: sequence-classification needs a label_column and"),
        ({"dataset": dataset(labels=["no", "yes", "no"])}, "dataset.labels: a label is listed twice"),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted (found 1)"),
    ],
)
def test_each_bad_field_is_named(changes, message):
    with pytest.raises(SpecError, match="The job spec is not valid") as caught:
        JobSpec.from_mapping(mapping(**changes))
    assert message in str(caught.value)


MIXED = {"rank": 8, "shard_ranks": {"s001": 4}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"aggregation": {"strategy": "magic"}},
            "aggregation.strategy: Value error, expected one of fedavg, ffa, rolora, stack, qr-svd, fedex, "
            "found 'magic'",
        ),
        (
            {"aggregation": {"robust": "trust"}},
            "aggregation.robust: Value error, expected one of auto, none, spectral-filter, centered-clipping, "
            "trimmed-mean, median, multi-krum, fltrust, found 'trust'",
        ),
        (
            {"aggregation": {"outer": "lion"}},
            "aggregation.outer: Value error, expected one of none, nesterov, adam, yogi, found 'lion'",
        ),
        (
            {"aggregation": {"compression": "zip"}},
            "aggregation.compression: Value error, expected one of none, fp16, bf16, int8, top-k, found 'zip'",
        ),
        (
            {"aggregation": {"strategy": "qr-svd", "robust": "median"}},
            "robust.rule median works number by number, which needs the strategy fedavg, ffa, rolora, found qr-svd; "
            "choose another rule, such as centered-clipping",
        ),
        (
            {"aggregation": {"strategy": "stack", "outer": "adam"}},
            "outer.optimizer adam moves single numbers, which needs the strategy fedavg, ffa, rolora, found stack",
        ),
        (
            {"lora": MIXED},
            "lora.shard_ranks: fedavg needs one rank on all shards; for mixed ranks choose aggregation.strategy "
            "stack, qr-svd",
        ),
        (
            {"lora": {"rank": 8, "shard_ranks": {"s001": 16}}},
            "shard_ranks: s001 has rank 16, which exceeds lora.rank 8",
        ),
    ],
)
def test_an_aggregation_that_cannot_be_says_what_would_do(changes, message):
    with pytest.raises(SpecError) as caught:
        JobSpec.from_mapping(mapping(**changes))
    assert message in str(caught.value)


def test_a_bare_name_stands_for_a_part_of_the_aggregation_with_its_defaults():
    parts = {"robust": "median", "outer": "adam", "compression": "top-k"}
    short = JobSpec.from_mapping(mapping(aggregation=parts))
    long = {"robust": {"rule": "median"}, "outer": {"optimizer": "adam"}, "compression": {"codec": "top-k"}}
    assert short == JobSpec.from_mapping(mapping(aggregation=long))
    assert JobSpec.from_bytes(short.canonical_bytes()) == short


@pytest.mark.parametrize(
    ("trusted", "rule", "settled"),
    [(False, "auto", "centered-clipping"), (True, "auto", "none"), (True, "median", "median"), (False, "none", "none")],
)
def test_nodes_that_nobody_vouches_for_are_clipped(trusted, rule, settled):
    spec = JobSpec.from_mapping(
        mapping(fleet={"trusted": trusted}, aggregation={"robust": {"rule": rule, "passes": 3}})
    )
    assert spec.robust_aggregation.robust == spec.aggregation.robust.model_copy(update={"rule": settled})


def test_shards_of_a_lower_rank_have_the_scaling_of_the_whole():
    lora = JobSpec.from_mapping(mapping(lora={**MIXED, "alpha": 16}, aggregation={"strategy": "stack"})).lora
    assert (lora.rank_of("s000"), lora.rank_of("s001"), lora.scaling) == (8, 4, 2.0)
    JobSpec.from_mapping(mapping(lora={"rank": 8, "shard_ranks": {"s001": 8}}))


numbers = st.none() | st.integers(1, 9)


@given(column=st.none() | st.just("c"), rows=numbers, size=numbers, nodes=numbers)
def test_exactly_one_rule_cuts_the_shards(column, rows, size, nodes):
    values = {"column": column, "rows": rows, "bytes": size, "nodes": nodes}
    if sum(value is not None for value in values.values()) == 1:
        assert ShardRule(**values).model_dump() == values
    else:
        with pytest.raises(ValueError, match="give exactly one of column, rows, bytes"):
            ShardRule(**values)


def node_local(**changes):
    return {
        "source": "node-local:notes",
        "labels": ["a", "b"],
        "shard_by": {"nodes": 2},
        "holdout_source": "rows.csv",
        **changes,
    }


def test_data_that_stays_on_its_nodes_is_evaluated_on_rows_from_elsewhere():
    part = {"first": 0, "last": 1, "of": 10}
    dataset = JobSpec.from_mapping(mapping(dataset=node_local(holdout_keep=part))).dataset
    assert (dataset.node_local, dataset.shard_by.nodes, dataset.holdout_source) == ("notes", 2, "rows.csv")
    assert dataset.holdout_keep is not None
    assert JobSpec.from_mapping(mapping()).dataset.node_local is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shard_by": {"rows": 5}}, "needs shard_by.nodes and holdout_source"),
        ({"holdout_source": None}, "needs shard_by.nodes and holdout_source"),
        ({"source": "rows.csv"}, "needs shard_by.nodes and holdout_source"),
        ({"source": "rows.csv", "shard_by": {"rows": 5}}, "needs shard_by.nodes and holdout_source"),
        ({"keyring": "ring"}, "keyring: .* nothing to seal"),
        ({"keyring": "Ring"}, "dataset.keyring: String should match pattern"),
        ({"holdout_keep": {"first": 2, "last": 1, "of": 10}}, "first must not exceed last"),
        ({"holdout_keep": {"first": 2, "last": 10, "of": 10}}, "last must be below of"),
        (
            {
                "source": "rows.csv",
                "shard_by": {"rows": 5},
                "holdout_source": None,
                "holdout_keep": {"first": 0, "last": 1, "of": 10},
            },
            "holdout_keep: only a node-local source",
        ),
    ],
)
def test_a_dataset_that_neither_stays_nor_travels_is_refused(changes, message):
    with pytest.raises(SpecError, match=message):
        JobSpec.from_mapping(mapping(dataset=node_local(**changes)))


@given(budget=st.integers(1, 2**53 - 1), rate=st.floats(1e-12, 1e3), name=st.from_regex(NAME, fullmatch=True))
def test_every_valid_job_has_an_identity_that_survives(budget, rate, name):
    payment = {"budget": budget, "reward_per_task": 1}
    job = JobSpec.from_mapping(mapping(name=name, payment=payment, training={"learning_rate": rate}))
    assert JobSpec.from_bytes(job.canonical_bytes()) == job


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "must hold a mapping of fields, found NoneType"),
        (b"- a\n", "must hold a mapping of fields, found list"),
        (b"name: [\n", r"is not valid YAML: (?s:.*)line 2"),
        (b"name: \x00\n", "is not valid YAML"),
        (b"\xff\xfe\n", "is not text in UTF-8"),
        (b"!!python/object/apply:os.getcwd []\n", "is not valid YAML: (?s:.*)could not determine a constructor"),
        (b"1: 2\n", "1: Keys should be strings"),
    ],
)
def test_a_malformed_file_is_named(tmp_path, data, message):
    (tmp_path / "job.yaml").write_bytes(data)
    with pytest.raises(SpecError, match=message) as caught:
        JobSpec.load(tmp_path / "job.yaml")
    assert "job.yaml" in str(caught.value) or "job spec" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"Cannot read .*absent.yaml: No such file"):
        JobSpec.load(tmp_path / "absent.yaml")


def task(**changes):
    values = {"kind": "train", "contract": "atlas1contract", "job_id": 1, "job": CID, "model": CID, "round": 2}
    values |= {"slot": 0, "shard": "s000", "data": CID, "rows": 10, "base": CID, "attempt": 1}
    return TaskSpec(**(values | changes))


def test_every_attempt_at_one_task_has_its_id():
    assert task().task_id == task(attempt=2).task_id == task(attempt=3, resume=OTHER_CID).task_id
    assert task().cid != task(attempt=2).cid != task(attempt=2, resume=OTHER_CID).cid


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "evaluate"},
        {"contract": "atlas1other"},
        {"job_id": 2},
        {"job": OTHER_CID},
        {"model": OTHER_CID},
        {"round": 3},
        {"slot": 1},
        {"shard": "s001"},
        {"data": OTHER_CID},
        {"rows": 11},
        {"rank": 4},
        {"base": OTHER_CID},
        {"checkpoints": [CID]},
    ],
)
def test_another_task_has_another_id(changes):
    assert task(**changes).task_id != task().task_id


def test_a_task_id_is_sixteen_digits_of_what_the_attempts_share():
    fixed = task().model_dump(exclude={"attempt", "resume"})
    canonical = json.dumps(fixed, sort_keys=True, separators=(",", ":"))
    assert task().task_id == hashlib.sha256(canonical.encode()).hexdigest()[:16]
