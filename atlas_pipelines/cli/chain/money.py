"""`atlas chain balance | faucet | rewards | withdraw`: the coins and credits of accounts."""

import os
from typing import Annotated, Any

import typer

from atlas.terminal.json_output import print_json
from atlas.terminal.tables import numbers, print_table, texts
from atlas_pipelines.cli.chain import network as given
from atlas_pipelines.cli.chain.network import ChainTarget, place
from atlas_pipelines.cli.output import results_console
from chain_bridge.client.keys import load_or_create_key
from chain_bridge.follower.follower import Follower
from chain_bridge.follower.read_model import ReadModel
from chain_bridge.ledger import Ledger
from chain_bridge.networks.faucet import request_coins, send_coins
from chain_bridge.networks.localnet import find_localnet
from chain_bridge.networks.networks import LOCAL
from resources.errors import CoordinatorError
from resources.operator_ledger import open_ledger

FAUCET_AMOUNT = 10**10
Address = Annotated[
    str | None, typer.Argument(help="An account; by default the operator's, or that of --key.", show_default=False)
]


def balance(
    address: Address = None,
    network: given.Name = None,
    url: given.Url = None,
    key: given.KeyFile = None,
    json: given.Json = False,
) -> None:
    """Show the balance of an account."""
    with place(network, url, key, deployed=False, reading=True) as here, Ledger(here.network) as ledger:
        account = address or here.address
        if account is None:
            raise CoordinatorError(f"There is no key at {here.key_file} yet. Give an ADDRESS.")
        amount = ledger.balance(account)
    if json:
        print_json({"address": account, "amount": amount, "denom": here.network.denom})
    else:
        results_console().print(f"{account}  {amount:,} {here.network.denom}")


def faucet(
    address: Address = None,
    amount: Annotated[
        int, typer.Option(min=1, help="In micro-units; a testnet's faucet sends a fixed amount instead.")
    ] = FAUCET_AMOUNT,
    network: given.Name = None,
    url: given.Url = None,
    key: given.KeyFile = None,
    json: given.Json = False,
) -> None:
    """Get the first coins: from a testnet's faucet, or on this machine from the account that holds all coins."""
    with place(network, url, key, deployed=False) as here, Ledger(here.network) as ledger:
        account = address or here.key.address
        answer = _give(here, account, amount)
        held = ledger.balance(account)
    if json:
        print_json({"address": account, "amount": held, "denom": here.network.denom, **answer})
        return
    console = results_console()
    if "page" in answer:
        console.print(f"Only a web page gives out coins of {here.name}. Open {answer['page']}")
    console.print(f"{account}  {held:,} {here.network.denom}")


def rewards(
    network: given.Name = None, url: given.Url = None, key: given.KeyFile = None, json: given.Json = False
) -> None:
    """Show what each node's owner has earned, has withdrawn, and can withdraw."""
    with place(network, url, key, reading=True) as here, here.read_model() as model:
        with Follower(here.network, model) as follower:
            follower.catch_up()
        with Ledger(here.network) as ledger:
            rows = reward_rows(model, ledger)
    if json:
        print_json(rows)
        return
    if not rows:
        results_console().print("No node was registered yet.")
        return
    columns = [*texts("nodes", "owner"), *numbers("earned", "withdrawn", f"credit {here.network.denom}")]
    cells = [
        [
            ", ".join(str(number) for number in row["nodes"]),
            row["owner"],
            *(f"{row[name]:,}" for name in ("earned", "withdrawn", "credit")),
        ]
        for row in rows
    ]
    print_table(results_console(), columns, cells)


def reward_rows(model: ReadModel, ledger: Ledger) -> list[dict[str, Any]]:
    """One row per owner, ordered by the owner's first node. Credit includes refunds and stakes; `earned` does not."""
    nodes: dict[str, list[int]] = {}
    for node in model.nodes():
        nodes.setdefault(node.owner, []).append(node.id)
    sums = {(owner, kind): 0 for owner in nodes for kind in ("credit", "withdrawal")}
    for payout in model.payouts():
        if payout.address in nodes:
            sums[payout.address, payout.kind] += payout.amount
    return [
        {
            "owner": owner,
            "nodes": numbers,
            "earned": sums[owner, "credit"],
            "withdrawn": sums[owner, "withdrawal"],
            "credit": ledger.credit(owner),
        }
        for owner, numbers in nodes.items()
    ]


def withdraw(
    of: Annotated[
        list[str] | None,
        typer.Option(
            "--for",
            help="Account to pay its credit to, with the fee paid by this command's account; may be repeated. By "
            "default this command's account.",
        ),
    ] = None,
    network: given.Name = None,
    url: given.Url = None,
    key: given.KeyFile = None,
    json: given.Json = False,
) -> None:
    """Move credit from the contract to the account that earned it."""
    with place(network, url, key) as here, open_ledger(here.home, here.network, here.key) as ledger:
        done = ledger.withdraw_for(sorted(set(of))) if of else ledger.withdraw()
    amount = int(done.attribute("amount"))
    if json:
        print_json({"transaction": done.hash, "amount": amount, "denom": here.network.denom})
    else:
        results_console().print(f"Withdrew {amount:,} {here.network.denom} in {done.hash}")


def _give(here: ChainTarget, account: str, amount: int) -> dict[str, str]:
    if here.is_local:
        return {"transaction": _give_locally(here, account, amount)}
    preset = here.preset
    if preset is not None and preset.faucet_page is not None:
        return {"page": preset.faucet_page}
    if here.network.faucet is None:
        raise CoordinatorError(
            f"No faucet is known for {here.name} ({here.network.chain_id}). Send coins to {account} from another "
            "account, or set faucet or faucet_page in networks.yaml."
        )
    return {"transaction": request_coins(here.network.faucet, account)}


def _give_locally(here: ChainTarget, account: str, amount: int) -> str:
    """Send from the genesis account, which on an embedded chain is the operator's; return the transaction's hash."""
    path = find_localnet(os.environ).key if here.name == LOCAL else here.home.operator_key
    source = load_or_create_key(path, here.network.prefix)
    if source.address == account:
        raise CoordinatorError(
            f"{account} is the account that holds all coins here. Give another one: atlas chain faucet ADDRESS "
            f"--network {here.name}"
        )
    return send_coins(here.network, source, {account: amount})
