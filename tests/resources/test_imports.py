"""What the Dagster process may carry, and what must do without Dagster."""

import subprocess
import sys

import pytest

from tests.support.paths import REPOSITORY

FACES = {"coordinator", "fleet", "ledger", "content"}
MODULES = sorted(path.stem for path in (REPOSITORY / "resources").glob("*.py") if path.stem != "__init__")


def imported_by(modules: list[str]) -> set[str]:
    names = ", ".join(f"resources.{name}" for name in modules)
    script = f"import {names}, sys; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_no_module_brings_in_a_tensor_framework():
    assert imported_by(MODULES).isdisjoint({"torch", "transformers", "peft"})


def test_only_the_faces_know_dagster():
    assert "dagster" not in imported_by([name for name in MODULES if name not in FACES])


@pytest.mark.parametrize("name", sorted(FACES))
def test_the_faces_do(name):
    assert "dagster" in imported_by([name])
