"""`python -m atlas_pipelines.webserver --port PORT`: Dagster's web server behind the guard."""

import argparse
from asyncio import CancelledError
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import dagster as dg
import uvicorn
from dagster._core.workspace.context import WorkspaceProcessContext, WorkspaceRequestContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster_webserver.version import __version__
from dagster_webserver.webserver import DagsterWebserver
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection

from atlas.home import AtlasHome
from atlas_pipelines.webserver.address import WebAddress, own_hosts
from atlas_pipelines.webserver.guard import VISITOR, Guard
from atlas_pipelines.webserver.requests import Tokens

MODULE = "atlas_pipelines.definitions"
STATEMENT_TIMEOUT_MS, POOL_RECYCLE_SECONDS, POOL_OVERFLOW = 15_000, 3600, 20
"""The defaults of `dagster-webserver`."""


class GuardedWebserver(DagsterWebserver[WorkspaceProcessContext, WorkspaceRequestContext]):
    """Dagster's web server with the guard in front, and with read-only requests of guests."""

    def __init__(self, context: WorkspaceProcessContext, hosts: frozenset[str] | None, tokens: Tokens | None) -> None:
        super().__init__(context)
        self._hosts, self._tokens = hosts, tokens

    def build_middleware(self) -> list[Middleware]:
        """The guard, then Dagster's own."""
        return [Middleware(Guard, hosts=self._hosts, tokens=self._tokens), *super().build_middleware()]

    def _make_request_context(self, conn: HTTPConnection) -> WorkspaceRequestContext:
        own = self._process_context
        return WorkspaceRequestContext(
            instance=own.instance,
            current_workspace=own.get_current_workspace(),
            process_context=own,
            version=own.version,
            source=conn,
            read_only=conn.scope.get(VISITOR) == "guest",
        )


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description="Dagster's web server behind a guard; $DAGSTER_HOME is its instance.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    address = WebAddress.of(arguments.host, arguments.port, AtlasHome.from_environment())
    hosts = None if address.tokens else own_hosts(arguments.port)
    with dg.DagsterInstance.get() as instance:
        instance.optimize_for_webserver(STATEMENT_TIMEOUT_MS, POOL_RECYCLE_SECONDS, POOL_OVERFLOW)
        target = ModuleTarget(MODULE, attribute=None, working_directory=None, location_name=None)
        with WorkspaceProcessContext(instance, target, version=__version__) as context:
            app = GuardedWebserver(context, hosts, address.tokens).create_asgi_app(lifespan=_lifespan)
            # The access log would hold the tokens of links.
            uvicorn.run(app, host=arguments.host, port=arguments.port, log_level="warning", access_log=False)


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    with suppress(CancelledError):  # on SIGINT, https://github.com/encode/uvicorn/issues/1160
        yield


if __name__ == "__main__":
    main()
