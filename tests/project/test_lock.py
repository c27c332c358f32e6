"""requirements.lock has what pyproject.toml needs, at versions that it allows, with hashes."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import requires, version

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.paths import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
LOCK = (REPOSITORY / "requirements.lock").read_text()
REMEDY = "run scripts/lock, then make install"


def named_by_the_project() -> list[Requirement]:
    extras, groups = PROJECT["project"]["optional-dependencies"], PROJECT["dependency-groups"]
    lines = [PROJECT["project"]["dependencies"], *extras.values(), *groups.values()]
    return [found for line in lines for found in map(Requirement, line) if applies(found)]


def applies(found: Requirement, extra: str = "") -> bool:
    return found.marker is None or found.marker.evaluate({"extra": extra})


def locked() -> dict[str, str]:
    """Version by name, of what this Python and this system get."""
    lines = [Requirement(line.rstrip(" \\")) for line in re.findall(r"^[a-z0-9].*$", LOCK, re.MULTILINE)]
    return {line.name: str(line.specifier).removeprefix("==") for line in lines if applies(line)}


def needed_by(wanted: Requirement) -> Iterator[Requirement]:
    for found in map(Requirement, requires(wanted.name) or []):
        if any(applies(found, extra) for extra in ("", *wanted.extras)):
            yield found


def test_the_lock_lists_what_the_project_needs_and_nothing_else():
    todo, seen = named_by_the_project(), set()
    assert {canonicalize_name(wanted.name) for wanted in todo} <= set(locked()), REMEDY
    while todo:
        wanted = todo.pop()
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key not in seen:
            seen.add(key)
            todo += needed_by(wanted)
    assert {name for name, _ in seen} == set(locked()), REMEDY


def test_the_locked_versions_are_allowed_and_installed():
    pins = locked()
    unlike = [
        str(one) for one in named_by_the_project() if not one.specifier.contains(pins[canonicalize_name(one.name)])
    ]
    assert unlike == [], REMEDY
    assert {name: version(name) for name in pins} == pins, "run make install"


def test_every_package_has_hashes_and_no_address():
    packages = re.findall(r"^[a-z0-9][^\n]* \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", LOCK, re.MULTILINE)
    assert len(packages) == len(re.findall(r"^[a-z0-9]", LOCK, re.MULTILINE))
    assert "://" not in LOCK
