"""The component `FineTuning`: its attributes, what it adds to a project, and what its scaffolding writes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import pytest
import yaml
from dagster.components.core.component_tree import ComponentTreeException
from dagster.components.testing import create_defs_folder_sandbox

from atlas.errors import SpecError
from atlas_pipelines.component import FineTuning
from atlas_pipelines.definitions import defs
from tests.support.paths import REPOSITORY

EXAMPLE = yaml.safe_load((REPOSITORY / "examples/sentiment.yaml").read_text())
TYPE = "atlas_pipelines.component.FineTuning"


pytestmark = pytest.mark.filterwarnings(
    # Dagster loads components with a deprecated function of pydantic and with its own beta classes.
    "ignore:.parse_obj_as. is deprecated:DeprecationWarning",
    "ignore::dagster_shared.utils.warnings.BetaWarning",
)


def started(name: str) -> dg.AssetKey:
    return dg.AssetKey(["started_job", name])


@contextmanager
def refused(message: str) -> Iterator[None]:
    """Expect that Dagster reports a project because of our error with this message."""
    with pytest.raises(ComponentTreeException) as caught:
        yield
    assert isinstance(caught.value.__cause__, SpecError)
    assert re.search(message, str(caught.value.__cause__))


@pytest.fixture
def sandbox() -> Iterator:
    with create_defs_folder_sandbox() as made:
        yield made


@pytest.fixture
def build(sandbox):
    """The definitions of a project with one component of these attributes."""

    def build(**attributes) -> dg.Definitions:
        sandbox.scaffold_component(FineTuning, "job", defs_yaml_contents={"type": TYPE, "attributes": attributes})
        with sandbox.build_all_defs() as found:
            return found

    return build


def test_a_job_is_an_asset_after_those_that_write_its_data(build):
    graph = build(job=EXAMPLE, deps=["reviews", "shops/stock"]).resolve_asset_graph()
    assert graph.get(started("sentiment")).parent_keys == {dg.AssetKey("reviews"), dg.AssetKey(["shops", "stock"])}


def test_the_project_gets_all_definitions_beside_the_job(build):
    found = build(job=EXAMPLE)
    own = {node.key for node in defs.resolve_asset_graph().asset_nodes}
    assert {node.key for node in found.resolve_asset_graph().asset_nodes} == own | {started("sentiment")}
    assert {sensor.name for sensor in found.sensors} == {sensor.name for sensor in defs.sensors}
    assert found.resources.keys() == defs.resources.keys()


def test_a_scaffolded_component_loads_with_the_folders_name_and_a_second_one_beside_it(sandbox):
    first = sandbox.scaffold_component(FineTuning, "news_model")
    assert yaml.safe_load((first / "defs.yaml").read_text()) == {"type": TYPE, "attributes": {"job": "job.yaml"}}
    assert yaml.safe_load((first / "job.yaml").read_text()) == {**EXAMPLE, "name": "news-model"}
    sandbox.scaffold_component(FineTuning, "shop_model")
    with sandbox.build_all_defs() as found:
        keys = {node.key for node in found.resolve_asset_graph().asset_nodes}
    own = {node.key for node in defs.resolve_asset_graph().asset_nodes}
    assert keys == own | {started("news-model"), started("shop-model")}


def test_a_bad_field_of_the_job_is_named(build):
    with refused(r"rounds: Input should be greater than 0 \(found 0\)"):
        build(job={**EXAMPLE, "rounds": 0})


def test_a_job_file_that_does_not_exist_is_named(build):
    with refused(r"Cannot read .*job/nowhere\.yaml"):
        build(job="nowhere.yaml")
