"""The folder of all state on a coordinator's machine, `$ATLAS_HOME`."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote


@dataclass(frozen=True)
class AtlasHome:
    """The layout of `$ATLAS_HOME` (default `~/.atlas`); its properties create no files."""

    root: Path

    @classmethod
    def from_environment(cls) -> "AtlasHome":
        """The folder that `$ATLAS_HOME` names, as an absolute path."""
        return cls(Path(os.environ.get("ATLAS_HOME", "~/.atlas")).expanduser().absolute())

    @property
    def content(self) -> Path:
        """The embedded content store."""
        return self.root / "content"

    @property
    def chain(self) -> Path:
        """The embedded chain's database and compiled modules."""
        return self.root / "chain"

    @property
    def operator_key(self) -> Path:
        """The coordinator's mnemonic, mode 600."""
        return self.root / "keys" / "operator.key"

    @property
    def webserver_token(self) -> Path:
        """The operator's token for the web server beyond this machine, mode 600."""
        return self.root / "keys" / "webserver.token"

    @property
    def guest_token(self) -> Path:
        """The guests' token for the web server, for reading only, mode 600."""
        return self.root / "keys" / "guest.token"

    @property
    def nodes(self) -> Path:
        """One folder per local node agent."""
        return self.root / "nodes"

    @property
    def logs(self) -> Path:
        """The output of the local processes."""
        return self.root / "logs"

    @property
    def log(self) -> Path:
        """The log of the coordinator's own processes, with the traceback of every unexpected error."""
        return self.logs / "atlas.log"

    @property
    def jobs_database(self) -> Path:
        """The coordinator's jobs and tasks (SQLite)."""
        return self.root / "coordinator.db"

    def job_lock(self, job: str) -> Path:
        """Locked by the run that works on a job's rounds; holds the run's id."""
        return self.root / "locks" / f"{job}.lock"

    def outbox(self, chain_id: str, address: str) -> Path:
        """The outbox of one key for one chain (SQLite)."""
        return self.root / "outbox" / outbox_name(chain_id, address)

    @property
    def settings(self) -> Path:
        """The operator's settings (YAML), which a person writes."""
        return self.root / "settings.yaml"

    @property
    def network_file(self) -> Path:
        """Addresses of the local network while it runs."""
        return self.root / "network.json"

    @property
    def content_server_file(self) -> Path:
        """The address of the content server while it runs."""
        return self.root / "content-server.json"

    @property
    def dagster(self) -> Path:
        """The default `$DAGSTER_HOME`."""
        return self.root / "dagster"


def outbox_name(chain_id: str, address: str) -> str:
    """The file name of a key's outbox for a chain; the chain id is percent-encoded to be valid in a file name."""
    return f"{quote(chain_id, safe='')}-{address}.db"
