"""Which reference pages there are: path below docs/ and the function that writes the page."""

import inspect
from collections.abc import Callable

from pydantic import BaseModel

from atlas.spec.job import JobSpec
from atlas_pipelines.cli.main import app as atlas
from chain_bridge.networks.networks import Preset
from node_agent.cli.main import app as atlas_node
from node_agent.home.config import NodeConfig
from resources.settings import Addresses
from scripts.reference.commands import commands_page
from scripts.reference.contract import contract_page
from scripts.reference.python import python_page
from scripts.reference.schemas import fields_table, model_fields
from scripts.reference.subjects import subjects_page


def model_page(title: str, intro: str, *models: tuple[str, type[BaseModel]]) -> str:
    """A page of settings: one section per model, each nested model under its dotted path."""
    parts = [f"# {title}", intro]
    for heading, model in models:
        for path, schema, definitions in model_fields(model):
            name = f"`{path}`" if path else heading
            parts += [f"{'###' if path else '##'} {name}", inspect.cleandoc(schema.get("description", ""))]
            parts.append(fields_table(schema, definitions))
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _job() -> str:
    return model_page(
        "Job spec",
        "A job is one YAML file; `examples/sentiment.yaml` is a complete one. `atlas run FILE --set FIELD=VALUE` "
        "changes a field by its dotted path, such as `training.steps=80`. An unknown field or a value out of bounds is "
        "refused before anything is written. All integers are below 2^53. For a packaged model `model: minilm` is "
        "enough: its task and target modules are known. The file may also have `schedule` and `automation`, which "
        "are not part of the order: see [order a job again](../automation.md#order-a-job-again).",
        ("Job", JobSpec),
    )


def _node() -> str:
    return model_page(
        "Settings of a node",
        "The file `config.yaml` in the node's folder (`~/.atlas-node`, or `$ATLAS_NODE_HOME`). "
        "`atlas-node config init --from NETWORK_FILE` writes it, `atlas-node config show` prints it with the defaults.",
        ("Settings", NodeConfig),
    )


def _networks() -> str:
    return model_page(
        "Network files",
        "Two files describe networks. The file named by `$ATLAS_NETWORK` gives the addresses of a network that runs "
        "elsewhere. `$ATLAS_HOME/networks.yaml` adds named chains for `--chain NAME` and `--network NAME`, or changes "
        "fields of a packaged one; it maps each name to the fields of a named chain.",
        ("Addresses (`$ATLAS_NETWORK`)", Addresses),
        ("A named chain (`networks.yaml`)", Preset),
    )


PAGES: dict[str, Callable[[], str]] = {
    "reference/job.md": _job,
    "reference/atlas.md": lambda: commands_page(atlas, "atlas"),
    "reference/atlas-node.md": lambda: commands_page(atlas_node, "atlas-node"),
    "reference/node.md": _node,
    "reference/networks.md": _networks,
    "reference/contract.md": contract_page,
    "reference/subjects.md": subjects_page,
    "reference/python.md": python_page,
}
