import dagster as dg
import pytest

from assets.launch_config import FIELDS, LaunchConfig
from assets.order import read_order
from atlas.errors import SpecError


def test_the_untouched_launchpad_orders_the_shipped_example():
    assert LaunchConfig().is_default()
    assert LaunchConfig().order("sentiment").cid == read_order("examples/sentiment.yaml").cid


def test_the_round_key_names_the_job():
    assert LaunchConfig(model="smollm2").order("demo").name == "demo"


def test_each_setting_reaches_its_field():
    given = {
        "steps": 7,
        "learning_rate": 0.01,
        "batch_size": 3,
        "max_length": 32,
        "seed": 5,
        "rank": 4,
        "rounds": 2,
        "quorum": 0.75,
        "budget": 9_000_000,
        "reward_per_task": 11,
    }
    assert set(given) == set(FIELDS)
    spec = LaunchConfig(**given).order("demo").model_dump()
    for name, value in given.items():
        section, _, field = FIELDS[name].rpartition(".")
        assert (spec[section] if section else spec)[field] == value


def test_settings_reach_the_fields_that_have_no_line_of_their_own():
    config = LaunchConfig(settings=["training.schedule=cosine", "dataset.holdout_rows=50"])
    assert not config.is_default()
    assert config.order("demo").training.schedule == "cosine"
    assert config.order("demo").dataset.holdout_rows == 50


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"steps": 0}, "training.steps"),
        ({"quorum": 1.5}, "aggregation.quorum"),
        ({"settings": ["training.stepz=1"]}, "training.stepz"),
        ({"settings": ["nonsense"]}, "nonsense"),
        ({"model": "gpt9"}, "gpt9"),
        ({"spec": "nowhere.yaml"}, r"nowhere\.yaml"),
    ],
)
def test_a_bad_setting_is_refused_by_name(config, named):
    with pytest.raises(SpecError, match=named):
        LaunchConfig(**config).order("demo")


def test_every_field_explains_itself_in_the_launchpad():
    schema = LaunchConfig.to_fields_dict()
    assert set(schema) == set(LaunchConfig.model_fields)
    assert all(isinstance(field, dg.Field) and field.description for field in schema.values())
