"""The commands about a node's money: its stake, its status, its rewards. They also work while the agent runs."""

import time
from typing import Annotated

import typer

from atlas.counts import counted
from atlas.ids import JobId
from atlas.terminal.json_output import print_json
from chain_bridge.client.messages import Node, Tx
from chain_bridge.ledger import Ledger
from node_agent.chain.earnings import RoundEarning, earnings
from node_agent.chain.standing import describe_stake, describe_standing, moment
from node_agent.cli.shared import (
    DEFAULT_HOME,
    HomeOption,
    JsonOption,
    console,
    node_home,
    registered_node,
)
from node_agent.errors import NodeError
from node_agent.home.journal import Journal
from node_agent.home.lock import is_running

Amount = Annotated[int, typer.Argument(min=1, help="In micro-units.")]


def add_stake(amount: Amount, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Add to the node's stake from its account."""
    with registered_node(home) as (ledger, node):
        _show(ledger, node, ledger.add_stake(amount), as_json)


def withdraw_stake(amount: Amount, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Begin to take stake out. It stays bound for the contract's unbonding time; the minimum stays bound."""
    with registered_node(home) as (ledger, node):
        _show(ledger, node, ledger.withdraw_stake(amount), as_json)


def claim_stake(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Turn stake whose unbonding time is over into credit, which `atlas-node withdraw` pays out."""
    with registered_node(home) as (ledger, node):
        _show(ledger, node, ledger.claim_stake(), as_json)


def unjail(
    stake: Annotated[int | None, typer.Option(min=0, help="New stake; the contract's minimum by default.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Free the node after its time in jail, with a new stake."""
    with registered_node(home) as (ledger, node):
        if node.status != "jailed":
            raise NodeError(f"Node {node.id} is {node.status}, not in jail.")
        _show(ledger, node, ledger.unjail(ledger.config().min_stake if stake is None else stake), as_json)


def deregister(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Retire the node. All its stake unbonds; `atlas-node start` or `register` activates it again."""
    with registered_node(home) as (ledger, node):
        if is_running(node_home(home)):
            raise NodeError("The agent is running. Stop it first (Ctrl-C or SIGTERM), so that it releases its leases.")
        _show(ledger, node, ledger.deregister_node(), as_json)


def rewards(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show the credit that the node can withdraw, and the pay of its newest rounds."""
    with registered_node(home, reading=True) as (ledger, node):
        found = earnings(ledger, node.id, Journal(node_home(home).journal).recent(1000))
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    console.print(f"credit {found.credit} {found.denom}, balance {found.balance} {found.denom}   {found.address}")
    for one in found.rounds:
        console.print(_describe(one, found.denom))


def withdraw(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Move the node's credit to its account."""
    with registered_node(home) as (ledger, _):
        if ledger.credit(ledger.address) == 0:
            command = node_home(home).command("rewards")
            raise NodeError(f"{ledger.address} has no credit. See what is due with `{command}`.")
        tx = ledger.withdraw()
        amount, denom = int(tx.attribute("amount")), ledger.network.denom
        balance = ledger.balance(ledger.address)
    if as_json:
        print_json({"transaction": tx.hash, "amount": amount, "balance": balance})
    else:
        console.print(f"Withdrew {amount} {denom}; the balance is {balance} {denom}.")


def claim(
    job: Annotated[int, typer.Argument(min=1, help="The job's number on chain.")],
    number: Annotated[int, typer.Argument(metavar="ROUND", min=1, help="The round.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Claim the pay for finished tasks of a round that the job's owner never submitted."""
    with registered_node(home) as (ledger, node):
        _show(ledger, node, ledger.claim_abandoned(JobId(job), number), as_json)


def _show(ledger: Ledger, before: Node, tx: Tx, as_json: bool) -> None:
    node, credit = ledger.node(before.id), ledger.credit(ledger.address)
    if as_json:
        print_json({"transaction": tx.hash, "credit": credit, "node": node.model_dump(mode="json")})
        return
    denom, now = ledger.network.denom, time.time()
    console.print(f"{describe_standing(node, now)}\n{describe_stake(node, denom, now)}; credit {credit} {denom}")


def _describe(one: RoundEarning, denom: str) -> str:
    what = f"job {one.job}, round {one.round}: {counted(one.tasks, 'task')}, "
    if one.state == "open":
        return what + "not submitted yet"
    if one.state == "credited":
        return what + f"credited {one.amount} {denom}"
    return what + f"{one.amount} {denom} due from {moment(one.settle_from or 0)}"
