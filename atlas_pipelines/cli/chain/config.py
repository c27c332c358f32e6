"""`atlas chain config`: the contract's settings."""

from collections.abc import Sequence
from typing import Annotated

import typer

from atlas.suggestions import suggest
from atlas.terminal.json_output import print_json
from atlas.terminal.tables import print_fields
from atlas_pipelines.cli.chain import network as given
from atlas_pipelines.cli.chain.network import place
from atlas_pipelines.cli.output import results_console
from chain_bridge.client.messages import ContractConfig
from chain_bridge.ledger import Ledger
from resources.operator_ledger import need_ownership, open_ledger

FIXED = "denom"
"""The setting that cannot be changed."""


def config(
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Change a setting, such as challenge_seconds=600; may be repeated."
        ),
    ] = None,
    network: given.Name = None,
    url: given.Url = None,
    key: given.KeyFile = None,
    json: given.Json = False,
) -> None:
    """Show the contract's settings, or change some of them with --set, as the contract's owner.

    Amounts are in micro-units. `atlas chain deploy --help` describes each setting.
    """
    wanted, transaction = read_changes(changes or []), None
    with place(network, url, key, reading=not wanted) as here:
        if wanted:
            with open_ledger(here.home, here.network, here.key) as ledger:
                need_ownership(ledger, "changes its settings")
                transaction = ledger.update_config(**wanted).hash
        with Ledger(here.network) as ledger:
            found = ledger.config().model_dump(mode="json")
    if json:
        print_json({**found, "transaction": transaction})
    else:
        print_fields(results_console(), [(name, _text(value)) for name, value in found.items()])


def read_changes(changes: Sequence[str]) -> dict[str, int]:
    """The settings that `NAME=VALUE` texts name; raises `typer.BadParameter` for an unknown name or a bad value."""
    known = [name for name in ContractConfig.model_fields if name != FIXED]
    found: dict[str, int] = {}
    for change in changes:
        name, _, value = change.partition("=")
        if name not in known:
            hint = suggest(name, known) or f" The settings are {', '.join(known)}."
            raise typer.BadParameter(f"{name!r} is not a setting that can be changed.{hint}", param_hint="--set")
        if not (value.isascii() and value.isdecimal()):
            raise typer.BadParameter(f"{name} is {value!r}, expected a whole number of 0 or more.", param_hint="--set")
        found[name] = int(value)
    return found


def _text(value: int | str) -> str:
    return f"{value:,}" if isinstance(value, int) else value
