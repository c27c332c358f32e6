"""The public names of `atlas`: what `__all__` lists is what type checkers see and what is imported on first use."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import atlas

SOURCE = ast.parse(Path(atlas.__file__).read_text())


def test_type_checkers_and_programs_see_the_same_names_from_the_same_modules():
    (block,) = [node for node in SOURCE.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name)]
    typed = {alias.name: one.module for one in block.body for alias in one.names}
    assert typed == atlas._MODULE_OF  # docs/python.md imports them all: tests/docs/test_python.py
    assert sorted(typed) == atlas.__all__


def test_importing_the_package_imports_none_of_its_modules():
    script = "import atlas, json, sys; print(json.dumps([n for n in sys.modules if n.startswith('atlas.')]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_a_name_is_listed_before_it_is_used_and_an_unknown_one_is_refused():
    assert set(atlas.__all__) <= set(dir(atlas))
    with pytest.raises(AttributeError, match="'atlas' has no attribute 'trian'"):
        _ = atlas.trian
