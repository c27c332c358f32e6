"""The files of a home: SQLite databases, keys, settings, and records in JSON."""

from pathlib import Path

from atlas.content.places.health import places_file
from atlas.counts import counted
from atlas.disk.sqlite_check import find_damage
from atlas.disk.sqlite_file import SqliteFile, has_log, lacks_log
from atlas.home import AtlasHome
from atlas_pipelines.dagster_home import dagster_file
from atlas_pipelines.doctor.finding import Finding, failing
from chain_bridge.client.keys import check_key_file
from chain_bridge.embedded.state.database import chain_file
from chain_bridge.errors import KeyFileError
from chain_bridge.follower.read_model import read_model_file
from chain_bridge.networks.networks import load_presets
from chain_bridge.outbox.file import outbox_file
from node_agent.home.config import NodeHome, load_config
from node_agent.home.journal import journal_file
from resources.alerts.settings import read_operator_settings
from resources.coordinator_file import coordinator_file
from resources.local.contract import embedded_contract
from resources.local.deployments import deployments, networks_file


def databases(home: AtlasHome, dagster: Path) -> list[SqliteFile]:
    """Every SQLite file that exists, or whose write-ahead log exists without it."""
    nodes = node_folders(home)
    contents = [home.content, *(node / "content" for node in nodes)]
    outboxes = [home.root / "outbox", *(node / "outbox" for node in nodes)]
    found = [
        coordinator_file(home.jobs_database),
        chain_file(home.chain / "chain.db"),
        *(journal_file(node / "journal.db") for node in nodes),
        *(outbox_file(path) for folder in outboxes for path in sorted(folder.glob("*.db"))),
        *(read_model_file(path) for path in sorted((home.root / "follower").glob("*.db"))),
        *(places_file(path) for folder in contents for path in sorted((folder / "places").glob("*.sqlite"))),
        *(dagster_file(path) for path in sorted(dagster.rglob("*.db"))),
    ]
    return [file for file in found if file.path.exists() or has_log(file.path)]


def node_folders(home: AtlasHome) -> list[Path]:
    """The folders of the local nodes, for every network that they were used with."""
    return sorted([*home.nodes.glob("node-*"), *home.root.glob("networks/*/nodes/node-*")])


def check_databases(files: list[SqliteFile]) -> list[Finding]:
    """A finding for each damaged database, one for each that seems to lack its log, and one for all undamaged ones."""
    without_log = [file for file in files if lacks_log(file.path)]
    damages = [damage for file in files if (damage := find_damage(file))]
    findings = [Finding("database", "failed", damage) for damage in damages]
    findings += [Finding("database", "warning", _about_missing_log(file)) for file in without_log]
    sound = len(files) - len(damages)
    if sound or not files:
        findings.append(
            Finding("database", "ok", f"No damage in {counted(sound, 'SQLite file')}." if files else "None is there.")
        )
    return findings


def _about_missing_log(file: SqliteFile) -> str:
    name = file.path.name
    return (
        f"{file.path} ({file.holds}) has {name}-shm beside it, but no {name}-wal: if that log was removed or not "
        f"copied, the newest transactions are lost. Restore {name}-wal, or {name} and its log from one backup."
    )


def check_settings(home: AtlasHome) -> list[Finding]:
    """A finding for each damaged key, record or settings file, or one finding if none is damaged."""
    findings: list[Finding] = []
    keys = [home.operator_key, *(NodeHome(folder).key for folder in node_folders(home))]
    for path in (path for path in keys if path.exists()):
        try:
            check_key_file(path)
        except (KeyFileError, OSError) as error:
            findings.append(Finding("key", "failed", str(error)))
    with failing("settings", findings):
        deployments(home)
    with failing("settings", findings):
        embedded_contract(home)
    with failing("settings", findings):
        load_presets(networks_file(home))
    with failing("settings", findings):
        read_operator_settings(home.settings)
    for folder in node_folders(home):
        if (folder / "config.yaml").exists():
            with failing("settings", findings):
                load_config(NodeHome(folder))
    return findings or [
        Finding("settings", "ok", f"{counted(sum(path.exists() for path in keys), 'key')} and all settings.")
    ]
