"""The generated reference has every field, command, message and subject."""

import json

import pytest

import atlas
from atlas.spec.job import JobSpec
from atlas.terminal.deferred import Group
from atlas_pipelines.cli.commands import COMMANDS
from chain_bridge.networks.networks import Preset
from node_agent.cli.main import COMMANDS as NODE_COMMANDS
from node_agent.home.config import NodeConfig
from node_agent.wire import subjects
from scripts.reference.contract import SCHEMA
from scripts.reference.pages import PAGES
from scripts.reference.schemas import bounds_of, type_of


@pytest.fixture(scope="module")
def pages():
    return {path.removeprefix("reference/"): write() for path, write in PAGES.items()}


def section(page, heading):
    """The lines below a heading, up to the next one."""
    lines = page.splitlines()
    start = next(number for number, line in enumerate(lines) if line.lstrip("#") == f" {heading}") + 1
    end = next((number for number in range(start, len(lines)) if lines[number].startswith("#")), len(lines))
    return "\n".join(lines[start:end])


def fields(model, path=""):
    """Every field of a model and of those in it, as (section, field)."""
    for name, field in model.model_fields.items():
        yield path, name
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if hasattr(inner, "model_fields"):
                yield from fields(inner, f"{path}.{name}".strip("."))


def paths(entries, program):
    for name, entry in entries.items():
        yield f"{program} {name}"
        if isinstance(entry, Group):
            yield from paths(entry.commands, f"{program} {name}")


@pytest.mark.parametrize(
    ("page", "heading", "model"),
    [
        ("job.md", "Job", JobSpec),
        ("node.md", "Settings", NodeConfig),
        ("networks.md", "A named chain (`networks.yaml`)", Preset),
    ],
)
def test_every_field_has_a_row(pages, page, heading, model):
    for path, name in fields(model):
        assert f"| `{name}` |" in section(pages[page], f"`{path}`" if path else heading), f"{path}.{name}"


def test_a_field_of_the_job_has_type_default_bounds_and_description(pages):
    (row,) = [line for line in section(pages["job.md"], "`training`").splitlines() if line.startswith("| `steps` |")]
    assert row == "| `steps` | integer | `40` | > 0 | optimizer steps per shard and round |"


def test_every_field_of_the_job_is_described(pages):
    rows = [line for line in pages["job.md"].splitlines() if line.startswith("| `")]
    assert rows
    assert [row for row in rows if not row.split(" | ")[-1].strip(" |")] == []


@pytest.mark.parametrize(("program", "commands"), [("atlas", COMMANDS), ("atlas-node", NODE_COMMANDS)])
def test_every_command_has_a_section(pages, program, commands):
    for path in paths(commands, program):
        assert section(pages[f"{program}.md"], f"`{path}`").strip(), path


def test_a_command_has_its_arguments_and_options(pages):
    found = section(pages["atlas.md"], "`atlas verify`")
    assert "atlas verify [OPTIONS] CHECKPOINT" in found
    assert "| `CHECKPOINT` | required | CID of a checkpoint. |" in found
    assert "`--rebuild-start`" in found


def test_every_message_and_query_of_the_contract_has_a_section(pages):
    schema = json.loads(SCHEMA.read_text())
    for one in (*schema["execute"]["oneOf"], *schema["query"]["oneOf"]):
        for name in one.get("enum", one.get("properties", {})):
            assert f"### `{name}`" in pages["contract.md"], name


def test_every_subject_has_a_row(pages):
    for subject in (subjects.assign("{node_id}"), subjects.gradients("{job_id}"), subjects.heartbeat("{node_id}")):
        assert f"| `{subject}` |" in pages["subjects.md"]


def test_types_and_bounds_in_words():
    nullable = {"anyOf": [{"type": "integer", "exclusiveMinimum": 0, "maximum": 9.0}, {"type": "null"}]}
    assert type_of(nullable, {}) == "integer or null"
    assert bounds_of(nullable, {}) == ["> 0", "≤ 9"]
    assert type_of({"type": "array", "items": {"enum": ["a", "b"]}}, {}) == "list of one of `a`, `b`"


def test_every_public_name_of_the_library_has_a_section(pages):
    for name in atlas.__all__:
        assert section(pages["python.md"], f"`{name}`").strip(), name


def test_a_function_has_its_signature_and_a_data_class_its_fields(pages):
    assert "def parse_cid(text: " in section(pages["python.md"], "`parse_cid`")
    assert "\nfrozen: Factor | None = None\n" in section(pages["python.md"], "`TrainRequest`")
