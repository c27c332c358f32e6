"""The coordinator as a Dagster resource: its folder, its network, its records and its key."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
from pydantic import Field, PrivateAttr

from atlas.home import AtlasHome
from chain_bridge.client.keys import Key, load_or_create_key
from resources.jobs.automation import JobAutomations
from resources.jobs.job_lock import job_lock
from resources.jobs.registry import JobRegistry
from resources.jobs.retrainings import Retrainings
from resources.jobs.schedules import JobSchedules
from resources.local.network import ensure_local_network, running_network
from resources.rounds.held_rounds import HeldRounds
from resources.settings import Addresses, explicit_network, read_addresses


class CoordinatorResource(dg.ConfigurableResource["CoordinatorResource"]):
    """The coordinator's folder and network; nothing is started before it is needed."""

    atlas_home: str = Field(default="", description="The coordinator's folder; empty for $ATLAS_HOME or ~/.atlas.")
    network_file: str = Field(
        default="",
        description="YAML of a network to use; empty for $ATLAS_NETWORK, and without that for a local network.",
    )
    agents: int = Field(default=2, gt=0, description="Agents of the local network, when this run starts it.")
    threads: int = Field(default=1, gt=0, description="CPU threads per task of a local agent.")

    _running: ExitStack = PrivateAttr(default_factory=ExitStack)
    _addresses: Addresses | None = PrivateAttr(default=None)
    _rounds: HeldRounds = PrivateAttr(default_factory=HeldRounds)
    _held_jobs: set[str] = PrivateAttr(default_factory=set)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["CoordinatorResource"]:
        """Keep the local network running, once it is in use, and the jobs held until the run ends."""
        with self._running:
            yield self
        self._addresses = None
        self._rounds.clear()
        self._held_jobs.clear()

    @property
    def home(self) -> AtlasHome:
        """The coordinator's folder."""
        if self.atlas_home:
            return AtlasHome(Path(self.atlas_home).expanduser().absolute())
        return AtlasHome.from_environment()

    @property
    def addresses(self) -> Addresses:
        """The addresses of the network; starts the local network if no other is configured and it does not run."""
        if self._addresses is None:
            self._addresses = self._explicit() or self._running.enter_context(
                ensure_local_network(self.home, self.agents, self.threads)
            )
        return self._addresses

    @property
    def known_addresses(self) -> Addresses | None:
        """The addresses of the configured network, or of the local network if it runs; None without a network."""
        return self._addresses or self._explicit() or running_network(self.home)

    @property
    def registry(self) -> JobRegistry:
        """The coordinator's record of its jobs."""
        return JobRegistry(self.home.jobs_database)

    @property
    def schedules(self) -> JobSchedules:
        """The times at which jobs are ordered again."""
        return JobSchedules(self.home.jobs_database)

    @property
    def automations(self) -> JobAutomations:
        """The events on which jobs are ordered again."""
        return JobAutomations(self.home.jobs_database)

    @property
    def retrainings(self) -> Retrainings:
        """The coordinator's record of jobs that were ordered again."""
        return Retrainings(self.home.jobs_database)

    @property
    def rounds(self) -> HeldRounds:
        """The rounds that this run works on."""
        return self._rounds

    def hold_job(self, job: str, run_id: str) -> None:
        """Keep other runs from a job's rounds until this run ends; raises `JobAtWork` while another run has the job."""
        if job not in self._held_jobs:
            self._running.enter_context(job_lock(job, self.home, run_id))
            self._held_jobs.add(job)

    @property
    def key(self) -> Key:
        """The operator's key, which owns the jobs and signs for the coordinator."""
        return load_or_create_key(self.home.operator_key, self.addresses.network.prefix)

    def _explicit(self) -> Addresses | None:
        if self.network_file:
            return read_addresses(Path(self.network_file).expanduser())
        return explicit_network(os.environ)
