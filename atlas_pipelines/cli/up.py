"""`atlas up`: keep the local network and Dagster's web server and daemon running."""

import os
import socket
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from atlas.home import AtlasHome
from atlas_pipelines.cli.content.open import describe_content
from atlas_pipelines.cli.network import Agents, Chain, Ipfs, Nodes, Replicas, using_network
from atlas_pipelines.cli.output import results_console
from atlas_pipelines.cli.run.steps import Steps
from atlas_pipelines.dagster_home import prepare_dagster_home
from atlas_pipelines.reloading import ScheduleWatch, reload_definitions
from atlas_pipelines.webserver.address import WebAddress
from resources.content_server import running_content_server
from resources.errors import LocalNetworkError
from resources.jobs.schedules import JobSchedules
from resources.local.child import Child
from resources.local.network import child_environment
from resources.local.network_watch import NetworkWatch

START_SECONDS, STOP_SECONDS, WATCH_SECONDS = 120.0, 20.0, 0.5
LAST_PORT = 65535
UNENCRYPTED = (
    "These links open Dagster to anyone who has them, and nothing is encrypted: in a network that you do not trust, "
    "use a tunnel, or a proxy with TLS."
)
LOCATION = ("-m", "atlas_pipelines.definitions")


def up(
    agents: Agents = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads per task of a local agent.")] = 1,
    port: Annotated[int, typer.Option(min=1, max=LAST_PORT, help="The web server's port on this machine.")] = 3000,
    host: Annotated[
        str,
        typer.Option(
            help="The address that the web server listens on. If other machines reach it, as with 0.0.0.0, a browser "
            "needs a link with a token, which is printed."
        ),
    ] = "127.0.0.1",
    content_port: Annotated[
        int | None,
        typer.Option(
            min=1, max=LAST_PORT, help="The content server's port. [--port + 1, or a free one]", show_default=False
        ),
    ] = None,
    chain: Chain = None,
    ipfs: Ipfs = None,
    replicas: Replicas = 1,
    nodes: Nodes = None,
) -> None:
    """Run chain, message server, agents and Dagster until Ctrl-C. Runs launched in the UI use them."""
    home, console = AtlasHome.from_environment(), results_console()
    step = Steps(console)
    watch = NetworkWatch(console.print, step)
    network = using_network(home, agents, threads, chain, ipfs, replicas, nodes, watch)
    refuse_taken_port(port, "--port")
    if content_port is not None:
        refuse_taken_port(content_port, "--content-port")
    elif _answers(port + 1) is None and port < LAST_PORT:
        content_port = port + 1
    address = WebAddress.of(host, port, home)
    dagster_home = prepare_dagster_home(home, os.environ)
    try:
        with network as addresses, ExitStack() as running:
            step("Starting Dagster's web server and daemon.")
            _create_tables(dagster_home)
            children = [_start(running, home, *command) for command in _commands(home, address, content_port or 0)]
            children[0].wait_for(lambda: _answers(port, address.local_host), START_SECONDS)
            content_url = children[1].wait_for(lambda: running_content_server(home), START_SECONDS)
            step("Everything is running.")
            console.print(f"Dagster    {address.operator_link}   (its folder is {dagster_home})")
            if address.guest_link:
                console.print(f"guests     {address.guest_link}   (may only read)")
                console.print(UNENCRYPTED)
            console.print(f"chain      {addresses.network.url}   contract {addresses.network.contract}")
            console.print(f"messages   {addresses.bus}")
            console.print(f"content    {content_url}/CID   {describe_content(addresses, home.content)}")
            console.print("Ctrl-C stops all of them.")
            schedules = ScheduleWatch(
                JobSchedules(home.jobs_database), lambda: reload_definitions(address.url, address.token)
            )
            _watch(children, watch, schedules)
    except KeyboardInterrupt:
        console.print("Stopped.")


def _create_tables(dagster_home: Path) -> None:
    """Create the tables of Dagster's SQLite files: web server and daemon, started together, would both try it."""
    from atlas_pipelines.execution import open_instance

    with open_instance(dagster_home) as instance:
        instance.get_runs(limit=1)
        instance.all_instigator_state()
        instance.all_asset_keys()


def refuse_taken_port(port: int, option: str) -> None:
    """Raise `LocalNetworkError` when another program already listens on a local port."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise LocalNetworkError(f"Port {port} is taken by another program. Give another one with {option}.")


def _commands(home: AtlasHome, address: WebAddress, content_port: int) -> list[tuple[str, list[str]]]:
    programs = Path(sys.executable).parent
    webserver = [sys.executable, "-m", "atlas_pipelines.webserver", "--host", address.host, "--port", str(address.port)]
    content = [sys.executable, "-m", "resources.content_server", "--home", str(home.root), "--port", str(content_port)]
    return [
        ("dagster-webserver", webserver),
        ("content-server", content),
        ("dagster-daemon", [str(programs / "dagster-daemon"), "run", *LOCATION]),
    ]


def _start(running: ExitStack, home: AtlasHome, name: str, command: list[str]) -> Child:
    child = Child(name, command, home.logs / f"{name}.log", child_environment())
    running.callback(child.join, STOP_SECONDS)
    running.callback(child.terminate)
    return child


def _answers(port: int, address: str = "127.0.0.1") -> dict[str, int] | None:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return None
    return {"port": port}


def _watch(children: list[Child], watch: NetworkWatch, schedules: ScheduleWatch) -> None:
    while all(child.running for child in children):
        if watch.failure is not None:
            raise watch.failure
        schedules.look()
        time.sleep(WATCH_SECONDS)
    names = ", ".join(f"{child.name} (see {child.log})" for child in children if not child.running)
    raise LocalNetworkError(f"Ended unexpectedly: {names}.")
