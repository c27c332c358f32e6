"""`atlas chain pause | unpause | owner`: what the contract's owner may do."""

from typing import Annotated, Any

import typer

from atlas.terminal.json_output import print_json
from atlas.terminal.tables import print_fields
from atlas_pipelines.cli.chain import network as given
from atlas_pipelines.cli.chain.network import ChainTarget, place
from atlas_pipelines.cli.output import results_console
from chain_bridge.client.messages import Ownership
from chain_bridge.ledger import Ledger
from resources.errors import CoordinatorError
from resources.operator_ledger import need_ownership, open_ledger


def pause(
    network: given.Name = None, url: given.Url = None, key: given.KeyFile = None, json: given.Json = False
) -> None:
    """Stop the contract: it then accepts only heartbeats, the ending of leases, stake claims and withdrawals.

    By the contract's owner. Tasks in work continue; rounds are submitted and settled after `atlas chain unpause`.
    """
    _set_paused(True, network, url, key, json)


def unpause(
    network: given.Name = None, url: given.Url = None, key: given.KeyFile = None, json: given.Json = False
) -> None:
    """Make a paused contract accept all messages again; only its owner can."""
    _set_paused(False, network, url, key, json)


def owner(
    transfer: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Offer the contract to this account; another offer replaces this one.",
            show_default=False,
        ),
    ] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Accept the contract that was offered to us.")] = False,
    network: given.Name = None,
    url: given.Url = None,
    key: given.KeyFile = None,
    json: given.Json = False,
) -> None:
    """Show who owns the contract, or move it to another account: --transfer by its owner, then --accept by the other.

    The owner may pause the contract, decides challenges, and opens audits of stored content.
    """
    if transfer is not None and accept:
        raise typer.BadParameter("one account offers, the other accepts: give one of them", param_hint="--accept")
    transaction = None
    with place(network, url, key, reading=transfer is None and not accept) as here:
        if transfer is not None:
            transaction = _offer(here, transfer)
        elif accept:
            transaction = _accept(here)
        with Ledger(here.network) as ledger:
            facts = _facts(here, ledger.ownership())
    if json:
        print_json({**facts, "transaction": transaction})
        return
    print_fields(results_console(), [(name.replace("_", " "), value or "-") for name, value in facts.items()])
    if transfer is not None:
        results_console().print("The owner changes when that account runs: atlas chain owner --accept --key FILE")


def _set_paused(paused: bool, network: str | None, url: str | None, key: Any, json: bool) -> None:
    with place(network, url, key) as here, open_ledger(here.home, here.network, here.key) as ledger:
        need_ownership(ledger, "pauses and resumes it")
        transaction = None if ledger.paused() == paused else ledger.pause(paused).hash
        contract = ledger.contract
    state = "paused" if paused else "not paused"
    if json:
        print_json({"contract": contract, "paused": paused, "transaction": transaction})
    elif transaction is None:
        results_console().print(f"The contract {contract} is {state} already.")
    else:
        results_console().print(f"The contract {contract} is now {state}.")


def _offer(here: ChainTarget, address: str) -> str:
    with open_ledger(here.home, here.network, here.key) as ledger:
        need_ownership(ledger, "offers it to another account")
        return ledger.update_ownership("transfer_ownership", address).hash


def _accept(here: ChainTarget) -> str:
    with open_ledger(here.home, here.network, here.key) as ledger:
        offered = ledger.ownership().pending_owner
        if offered != ledger.address:
            raise CoordinatorError(
                f"The contract {ledger.contract} is offered to {offered or 'no account'}, and this command signs as "
                f"{ledger.address}. Its owner offers it with: atlas chain owner --transfer {ledger.address}"
            )
        return ledger.update_ownership("accept_ownership").hash


def _facts(here: ChainTarget, found: Ownership) -> dict[str, str | None]:
    return {"contract": here.network.contract, "owner": found.owner, "pending_owner": found.pending_owner}
