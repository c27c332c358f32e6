import dagster as dg
import pytest

from assets.launch.launch_config import FIELDS, LaunchConfig
from assets.launch.order import read_order
from atlas.errors import SpecError
from tests.support.paths import REPOSITORY


def test_the_untouched_launchpad_orders_the_shipped_example():
    assert LaunchConfig().is_default()
    assert LaunchConfig().order("sentiment").cid == read_order("examples/sentiment.yaml").cid


def test_the_round_key_names_the_job():
    assert LaunchConfig(model="smollm2").order("demo").name == "demo"


def test_a_spec_file_without_a_name_takes_that_of_the_round_key(tmp_path):
    path = tmp_path / "nameless.yaml"
    path.write_text((REPOSITORY / "examples/sentiment.yaml").read_text().replace("name: sentiment", ""))
    assert LaunchConfig(spec=str(path)).written_name() is None
    assert LaunchConfig(spec=str(path)).order("demo").name == "demo"


def test_the_written_name_is_that_of_the_file_or_of_a_setting():
    assert LaunchConfig().written_name() == "sentiment"
    assert LaunchConfig(settings=["name=mine"]).written_name() == "mine"


def test_each_setting_reaches_its_field():
    given = {
        "steps": 7,
        "learning_rate": 0.01,
        "batch_size": 3,
        "max_length": 32,
        "seed": 5,
        "rank": 4,
        "rounds": 2,
        "strategy": "ffa",
        "robust": {"rule": "median"},
        "outer": {"optimizer": "adam"},
        "compression": {"codec": "int8"},
        "quorum": 0.75,
        "budget": 9_000_000,
        "reward_per_task": 11,
    }
    assert set(given) == set(FIELDS)
    typed = {name: next(iter(value.values())) if isinstance(value, dict) else value for name, value in given.items()}
    spec = LaunchConfig(**typed).order("demo").model_dump()
    for name, value in given.items():
        section, _, field = FIELDS[name].rpartition(".")
        found = (spec[section] if section else spec)[field]
        assert found == value if not isinstance(value, dict) else value.items() <= found.items()


def test_settings_reach_the_fields_that_have_no_line_of_their_own():
    config = LaunchConfig(settings=["training.schedule=cosine", "dataset.holdout_rows=50"])
    assert not config.is_default()
    assert config.order("demo").training.schedule == "cosine"
    assert config.order("demo").dataset.holdout_rows == 50


def test_a_part_of_the_aggregation_is_chosen_by_name_or_in_detail():
    def robust(line: str):
        return LaunchConfig(settings=[line, "lora.shard_ranks.s001=8"]).order("demo").aggregation.robust

    assert robust("aggregation.robust=median") == robust("aggregation.robust={rule: median}")
    assert robust("aggregation.robust.rule=median") == robust("aggregation.robust=median")
    assert robust("aggregation.robust={rule: multi-krum, tolerated: 0.2}").tolerated == 0.2


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"robust": "trust"}, r"aggregation\.robust: Value error, expected one of"),
        ({"settings": ["aggregation.robust=trust"]}, r"aggregation\.robust: Value error, expected one of"),
        ({"strategy": "magic"}, "found 'magic'"),
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
