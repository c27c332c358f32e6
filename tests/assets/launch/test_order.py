import copy

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from assets.launch.order import (
    find_spec,
    model_slug,
    parse_changes,
    read_job_file,
    read_order,
    with_changes,
    with_model,
)
from atlas.errors import SpecError
from atlas.spec.job import JobSpec
from resources.jobs.automation import JobAutomation
from tests.support.paths import REPOSITORY

SENTIMENT = "examples/sentiment.yaml"
FIELDS = st.lists(st.sampled_from("abcde"), min_size=1, max_size=3).map(".".join)


def test_the_shipped_example_is_valid_and_its_budget_pays_for_every_task():
    spec = read_order(SENTIMENT)
    tasks = (4 + 1) * spec.rounds
    assert (spec.model.source, spec.dataset.shard_by.column, spec.rounds) == ("package:minilm", "domain", 3)
    assert spec.payment.budget >= spec.payment.reward_per_task * tasks


def test_the_shipped_example_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_spec(SENTIMENT) == REPOSITORY / SENTIMENT


def test_a_local_file_wins_over_the_shipped_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").mkdir()
    (tmp_path / SENTIMENT).write_text("name: mine")
    assert find_spec(SENTIMENT).read_text() == "name: mine"


def test_a_missing_spec_is_named():
    with pytest.raises(SpecError, match=r"nowhere\.yaml"):
        read_order("nowhere.yaml")


def test_a_schedule_in_the_file_is_read_beside_the_order_and_changes_no_cid(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text((REPOSITORY / SENTIMENT).read_text() + "schedule: {cron: '0 3 * * 1', timezone: Europe/Berlin}\n")
    order, (schedule, _) = read_job_file(str(path), changes={"schedule.enabled": True})
    assert order.cid == read_order(SENTIMENT).cid == JobSpec.load(path).cid
    assert (schedule.cron, schedule.timezone, schedule.enabled) == ("0 3 * * 1", "Europe/Berlin", True)
    assert read_job_file(SENTIMENT).rules == (None, None)


def test_a_bad_schedule_is_refused_with_the_order(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text((REPOSITORY / SENTIMENT).read_text() + "schedule: {cron: whenever}\n")
    with pytest.raises(SpecError, match=r"schedule\.cron: 'whenever'"):
        read_order(str(path))


def test_the_automation_in_the_file_is_read_beside_the_order_and_changes_no_cid(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text((REPOSITORY / SENTIMENT).read_text() + "automation: {on_new_data: true, after: other}\n")
    order, (schedule, automation) = read_job_file(str(path), changes={"automation.monthly_budget": 5})
    assert order.cid == read_order(SENTIMENT).cid == JobSpec.load(path).cid
    assert schedule is None
    assert automation == JobAutomation(on_new_data=True, after="other", monthly_budget=5)


def test_another_model_brings_its_task_its_targets_and_its_name():
    spec = read_order(SENTIMENT, model="smollm2")
    assert spec.model.source == "package:smollm2"
    assert spec.model.task == "causal-lm"
    assert spec.lora.target_modules == ["q_proj", "v_proj"]
    assert spec.lora.rank == read_order(SENTIMENT).lora.rank
    assert spec.name == "sentiment-smollm2"


def test_the_model_that_the_spec_has_already_changes_nothing():
    assert read_order(SENTIMENT, model="minilm").cid == read_order(SENTIMENT).cid


def test_a_given_name_wins_over_the_suffix():
    assert read_order(SENTIMENT, model="smollm2", name="mine").name == "mine"


def test_a_model_outside_the_catalogue_keeps_the_task():
    raw = {"name": "a", "model": {"source": "hub:x/y", "task": "causal-lm"}, "lora": {"target_modules": ["q"]}}
    changed = with_model(raw, "hub:Org/Tiny_Model")
    assert changed["model"] == {"source": "hub:Org/Tiny_Model", "task": "causal-lm"}
    assert changed["lora"] == {"target_modules": ["q"]}
    assert changed["name"] == "a-tiny-model"


def test_an_unknown_model_lists_the_known_ones():
    with pytest.raises(SpecError, match="minilm, smollm2"):
        read_order(SENTIMENT, model="gpt9")


@pytest.mark.parametrize(
    ("model", "slug"), [("smollm2", "smollm2"), ("package:smollm2", "smollm2"), ("path:/a/Tiny_M/", "tiny-m")]
)
def test_a_models_slug_fits_a_job_name(model, slug):
    assert model_slug(model) == slug


@given(
    st.dictionaries(FIELDS, st.integers(), max_size=1),
    st.recursive(st.integers(), lambda s: st.dictionaries(st.sampled_from("abcde"), s)),
)
def test_a_change_is_read_back_and_the_original_is_left_alone(changes, raw):
    raw = {"a": raw} if not isinstance(raw, dict) else raw
    before = copy.deepcopy(raw)
    try:
        changed = with_changes(raw, changes)
    except SpecError as error:
        assert "plain value" in str(error)
    else:
        for field, value in changes.items():
            place = changed
            for part in field.split("."):
                place = place[part]
            assert place == value
    assert raw == before


def test_settings_are_yaml_values_of_dotted_fields():
    lines = ["training.steps=10", "dataset.labels=[no, yes]", "model.revision=null", "name=a=b"]
    assert parse_changes(lines) == {
        "training.steps": 10,
        "dataset.labels": [False, True],
        "model.revision": None,
        "name": "a=b",
    }


@pytest.mark.parametrize("line", ["training.steps", "=3", "training..steps=3", "Training.steps=3"])
def test_a_malformed_setting_shows_how_to_write_one(line):
    with pytest.raises(SpecError, match="FIELD=VALUE"):
        parse_changes([line])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"training.steps": 0}, "training.steps"),
        ({"training.learning_rate": "fast"}, "training.learning_rate"),
        ({"training.stepz": 3}, "training.stepz"),
        ({"lora.rank": -8}, "lora.rank"),
        ({"payment.budget": 1.5}, "payment.budget"),
    ],
)
def test_a_bad_field_is_refused_by_name(changes, named):
    with pytest.raises(SpecError, match=named):
        read_order(SENTIMENT, changes=changes)


def test_a_spec_on_disk_equals_the_spec_that_it_holds(tmp_path):
    spec = read_order(SENTIMENT)
    path = tmp_path / "copy.yaml"
    path.write_text(yaml.safe_dump(spec.model_dump(mode="json")))
    assert read_order(str(path)).cid == spec.cid
