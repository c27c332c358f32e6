"""Where state lives on a coordinator's machine: one folder, `$ATLAS_HOME`."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote


@dataclass(frozen=True)
class AtlasHome:
    """The layout of `$ATLAS_HOME` (default `~/.atlas`); nothing is created by asking for a path."""

    root: Path

    @classmethod
    def from_environment(cls) -> "AtlasHome":
        """The folder that `$ATLAS_HOME` names, made absolute."""
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
    def nodes(self) -> Path:
        """One folder per local node agent."""
        return self.root / "nodes"

    @property
    def logs(self) -> Path:
        """What the local processes print."""
        return self.root / "logs"

    @property
    def log(self) -> Path:
        """What the coordinator's own processes log, with the traceback of every error that nobody foresaw."""
        return self.logs / "atlas.log"

    @property
    def jobs_database(self) -> Path:
        """The coordinator's jobs and tasks (SQLite)."""
        return self.root / "coordinator.db"

    def outbox(self, chain_id: str, address: str) -> Path:
        """What one key wants to write to one chain (SQLite)."""
        return self.root / "outbox" / outbox_name(chain_id, address)

    @property
    def network_file(self) -> Path:
        """Addresses of the local network while it runs."""
        return self.root / "network.json"

    @property
    def dagster(self) -> Path:
        """The default `$DAGSTER_HOME`."""
        return self.root / "dagster"


def outbox_name(chain_id: str, address: str) -> str:
    """The file name of a key's outbox for a chain; a chain's id may hold what a file name may not."""
    return f"{quote(chain_id, safe='')}-{address}.db"
