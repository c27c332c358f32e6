import dagster as dg
import pytest

from atlas.errors import DiskError
from atlas.home import AtlasHome
from atlas_pipelines.dagster_home import COMMON_FILES, TEMPLATE, prepare_dagster_home


def test_the_default_lies_inside_the_home(tmp_path):
    environment = {}
    folder = prepare_dagster_home(AtlasHome(tmp_path), environment)
    assert folder == tmp_path / "dagster"
    assert environment["DAGSTER_HOME"] == str(folder)
    assert (folder / "dagster.yaml").read_bytes() == TEMPLATE.read_bytes()


def test_a_given_folder_and_its_settings_are_kept(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    folder = prepare_dagster_home(AtlasHome(tmp_path), {"DAGSTER_HOME": str(tmp_path / "mine")})
    assert (folder / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"
    assert not (tmp_path / "dagster").exists()


def test_dagster_takes_the_template(tmp_path):
    folder = prepare_dagster_home(AtlasHome(tmp_path), {})
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        queue = instance.get_concurrency_config().run_queue_config
    assert [(limit["key"], limit["limit"]) for limit in queue.tag_concurrency_limits] == [
        ("atlas/job", 1),
        ("atlas/alert", 2),
    ]
    assert queue.max_concurrent_runs == 10


@pytest.mark.parametrize("name", COMMON_FILES)
@pytest.mark.parametrize("data", [b"noise" * 1000, b"SQLite format 3\0" + bytes(200)])
def test_a_damaged_file_of_dagster_is_named_before_dagster_reads_it(tmp_path, name, data):
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    with pytest.raises(DiskError, match=rf"{name} \(Dagster's history\) .*is damaged: .* Move {path.name}"):
        prepare_dagster_home(AtlasHome(tmp_path), {"DAGSTER_HOME": str(tmp_path)})
