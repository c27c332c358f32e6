"""The wheel has all that Dagster needs: definitions, the launchpad's default order, the contract."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.paths import REPOSITORY

PROGRAMS = Path(sys.executable).parent
pytestmark = pytest.mark.slow

LOOK = """
import json
import assets
from atlas_pipelines.definitions import defs
from chain_bridge.networks.deploy import CONTRACT_WASM
config = defs.resolve_job_def("start_job").graph.node_dict["open_order"].definition.config_schema.config_type
order = config.fields["order"]
print(json.dumps({
    "package": assets.__file__, "name": order.default_value["name"], "contract": CONTRACT_WASM.is_file(),
}))
"""


def test_the_definitions_of_an_installed_wheel_load_with_the_example(tmp_path):
    subprocess.run(
        [Path(sys.executable).with_name("hatchling"), "build", "-t", "wheel", "-d", tmp_path],
        cwd=REPOSITORY,
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "site-packages"
    zipfile.ZipFile(wheel).extractall(installed)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(installed), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", LOOK], cwd=elsewhere, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert Path(found["package"]).is_relative_to(installed)
    assert found["name"] == "sentiment"
    assert found["contract"]
    command = [
        Path(sys.executable).with_name("dagster"),
        "definitions",
        "validate",
        "-m",
        "atlas_pipelines.definitions",
    ]
    subprocess.run(command, cwd=elsewhere, env=environment, check=True, capture_output=True)
