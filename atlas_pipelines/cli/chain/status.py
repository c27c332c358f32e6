"""`atlas chain status`: the chain, the contract, and the messages not sent yet. Works while the chain is down."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

from atlas.terminal.json_output import print_json
from atlas.terminal.tables import print_fields
from atlas_pipelines.cli.chain import network as given
from atlas_pipelines.cli.chain.network import ChainTarget, look_at_place
from atlas_pipelines.cli.output import results_console
from chain_bridge.errors import ChainError
from chain_bridge.follower.follower import Follower
from chain_bridge.follower.read_model import ReadModel
from chain_bridge.ledger import Ledger
from chain_bridge.networks.contract_version import contract_version
from chain_bridge.outbox.file import read_backlog
from resources.jobs.registry import JobRegistry
from resources.operator_ledger import open_ledger
from resources.rounds.settle import settle_due_of

_STOPPED = "The local network does not run; `atlas up` or `atlas run` starts it."


def status(
    network: given.Name = None, url: given.Url = None, key: given.KeyFile = None, json: given.Json = False
) -> None:
    """Show the chain, the contract, its balances, and the messages that are not sent yet.

    If the chain answers, they are sent, and rounds that are due are settled. Works while the chain is down: jobs and
    nodes are then as they were last seen.
    """
    facts = chain_facts(look_at_place(network, url, key), time.time())
    if json:
        print_json(facts)
        return
    print_fields(results_console(), [(name, _words(value)) for name, value in facts.items()])


def chain_facts(here: ChainTarget, now: float) -> dict[str, Any]:
    """The facts that `status` prints, after waiting messages were sent; `now` is in unix seconds."""
    address = here.address
    path = here.home.outbox(here.network.chain_id, address) if address else None
    has_contract = here.network.contract is not None
    unsent = _send(here, now) if here.running and has_contract and path and path.exists() else ""
    problem, live = _ask(here) if here.running else (_STOPPED, {})
    facts: dict[str, Any] = {
        "network": here.name,
        "chain": here.network.chain_id,
        "url": here.network.url if here.running else None,
        "problem": problem or None,
        "contract": here.network.contract,
        "operator": address,
        **live,
    }
    if has_contract:
        with here.read_model() as model:
            facts |= _follow(here, model, up=not problem)
    return {**facts, "outbox": _outbox(path, unsent, now) if path and path.exists() else None}


def _send(here: ChainTarget, now: float) -> str:
    """Send waiting messages and settle due rounds; return the error's text, or an empty string."""
    try:
        with open_ledger(here.home, here.network, here.key) as ledger:
            if here.home.jobs_database.exists():
                settle_due_of(JobRegistry(here.home.jobs_database), ledger, now)
    except ChainError as error:
        return str(error)
    return ""


def _ask(here: ChainTarget) -> tuple[str, dict[str, Any]]:
    """The error's text (empty without an error), and the facts read from the chain."""
    live: dict[str, Any] = {}
    try:
        with Ledger(here.network) as ledger:
            live["height"] = ledger.height()
            if (address := here.address) is not None:
                live["balance"] = ledger.balance(address)
            if here.network.contract is None:
                return "", live
            live["version"] = contract_version(here.network).version
            live["totals"] = ledger.totals().model_dump(mode="json")
            live["paused"] = ledger.paused()
    except ChainError as error:
        return str(error), live
    return "", live


def _follow(here: ChainTarget, model: ReadModel, up: bool) -> dict[str, Any]:
    if up:
        with Follower(here.network, model) as follower:
            follower.catch_up()
    cursor = model.cursor()
    return {
        "jobs": dict(Counter(job.state for job in model.jobs())),
        "nodes": dict(Counter(node.status for node in model.nodes())),
        "rounds": dict(Counter("settled" if one.settled_at else "submitted" for one in model.rounds())),
        "followed to": cursor.height if cursor else None,
    }


def _outbox(path: Path, unsent: str, now: float) -> dict[str, Any]:
    backlog = read_backlog(path)
    return {
        "waiting": backlog.waiting,
        "signed": backlog.signed,
        "refused": backlog.refused,
        "orphaned": backlog.orphaned,
        "oldest_seconds": round(backlog.age(now)),
        "problem": unsent or None,
    }


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(item)}" for name, item in value.items()) or "none"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "-" if value is None else str(value)
