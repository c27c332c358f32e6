"""`atlas keys`: the keys that this coordinator's datasets are sealed with. No command prints a key."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from atlas.home import AtlasHome
from atlas.terminal.json_output import print_json
from atlas.terminal.tables import print_table, texts
from atlas_pipelines.cli.output import results_console
from resources.keys.key_journal import KeyJournal
from resources.keys.keyring import KeyRing, KeyRings

Name = Annotated[str, typer.Argument(help="The key ring, as dataset.keyring of the job names it.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def ls(json: Json = False) -> None:
    """List the key rings: their keys' ids, and the revoked addresses."""
    rings = _rings()
    found = [_facts(rings.get(name)) for name in rings.names()]
    if json:
        print_json(found)
        return
    if not found:
        results_console().print("There is no key ring here. A job whose spec has dataset.keyring creates one.")
        return
    cells = [
        [ring["ring"], key["id"], key["created"], "yes" if key["seals"] else "", "\n".join(ring["revoked"])]
        for ring in found
        for key in ring["keys"]
    ]
    print_table(results_console(), texts("ring", "key", "created", "seals", "revoked"), cells)


def released(name: Name, json: Json = False) -> None:
    """List the nodes that received keys of a ring, and so may have read those rows: each node, task and file once."""
    _rings().get(name)
    found = KeyJournal(AtlasHome.from_environment().jobs_database).released(name)
    if json:
        print_json([{"released": _time(at), **asdict(one)} for at, one in found])
        return
    if not found:
        results_console().print(f"No node was given a key of ring {name}.")
        return
    cells = [
        [_time(at), one.address, one.job, str(one.round), one.data, str(one.attempt), one.file] for at, one in found
    ]
    columns = texts("released", "to", "job", "round", "data", "attempt", "file")
    print_table(results_console(), columns, cells)


def rotate(name: Name, json: Json = False) -> None:
    """Seal new data with a new key. Data sealed before stays as it is, and open jobs continue."""
    ring = _rings().rotate(name)
    _show(ring, f"Key ring {name} seals new data with key {ring.newest.id}.", json)


def revoke(
    name: Name,
    addresses: Annotated[list[str], typer.Argument(help="The nodes' accounts, as `atlas-node status` shows them.")],
    json: Json = False,
) -> None:
    """Revoke these nodes: they get no more keys, and new data is sealed with a new key."""
    ring = _rings().revoke(name, addresses)
    text = f"{', '.join(sorted(set(addresses)))}: revoked in ring {name}. New data is sealed with key {ring.newest.id}."
    _show(ring, text, json)


def restore(
    name: Name, address: Annotated[str, typer.Argument(help="The account of a revoked node.")], json: Json = False
) -> None:
    """Restore a revoked node: it gets keys again, for the tasks that the chain leases to it."""
    _show(_rings().restore(name, address), f"{address} gets keys of ring {name} again.", json)


def _rings() -> KeyRings:
    return KeyRings(AtlasHome.from_environment())


def _show(ring: KeyRing, text: str, json: bool) -> None:
    if json:
        print_json(_facts(ring))
    else:
        results_console().print(text)


def _facts(ring: KeyRing) -> dict[str, Any]:
    keys = [
        {
            "id": version.id,
            "created": _time(version.created),
            "seals": version is ring.versions[-1],
        }
        for version in ring.versions
    ]
    return {"ring": ring.name, "keys": keys, "revoked": ring.revoked}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
