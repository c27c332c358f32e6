import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.paths import REPOSITORY


def test_no_name_in_the_root_hides_an_installed_package():
    """`python -m` puts the root first on the path: a stray gql.py there once killed the web server."""
    importable = {path.name for path in REPOSITORY.iterdir() if path.is_dir() and path.name.isidentifier()}
    importable |= {path.stem for path in REPOSITORY.glob("*.py")}
    installed = importlib.metadata.packages_distributions()
    hidden = {name: installed[name] for name in importable if set(installed.get(name, [])) - {"atlas-pipelines"}}
    assert not hidden
    assert not importable & sys.stdlib_module_names


def test_the_workspace_finds_the_code_in_a_clone_that_is_not_installed():
    (location,) = yaml.safe_load((REPOSITORY / "workspace.yaml").read_text())["load_from"]
    assert location["python_module"] == {
        "module_name": "atlas_pipelines.definitions",
        "location_name": "atlas_pipelines",
        "working_directory": ".",
    }


@pytest.mark.slow
def test_dagster_loads_the_workspace(tmp_path):
    command = [Path(sys.executable).with_name("dagster"), "definitions", "validate", "-w", "workspace.yaml"]
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", "DAGSTER_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Validation successful for code location atlas_pipelines" in done.stdout + done.stderr
