"""The real node that `scripts/localnet start` runs on this machine: its address, and the key of a funded account."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from chain_bridge.networks.networks import UnknownNetwork

HOME_VARIABLE = "ATLAS_LOCALNET_HOME"
_FILE = "localnet.json"
_START = "Start one with: scripts/localnet start"


class Localnet(BaseModel):
    """The file that the script writes about the chain that it started."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    url: str
    chain_id: str
    key: Path
    """The mnemonic of a funded account."""


def find_localnet(environment: Mapping[str, str]) -> Localnet:
    """The chain in `$ATLAS_LOCALNET_HOME`, or the only one of this user in the temporary folder.

    Raises `UnknownNetwork` when there is none, or more than one.
    """
    chosen = environment.get(HOME_VARIABLE)
    if chosen:
        found = [path for path in [Path(chosen) / _FILE] if path.exists()]
    else:
        folder = Path(tempfile.gettempdir())
        found = [path for path in folder.glob(f"atlas-localnet.*/{_FILE}") if path.stat().st_uid == os.getuid()]
    if not found:
        raise UnknownNetwork(f"No wasmd node runs on this machine. {_START}")
    if len(found) > 1:
        homes = ", ".join(sorted(str(path.parent) for path in found))
        raise UnknownNetwork(f"Several wasmd nodes run on this machine; choose one with ${HOME_VARIABLE}: {homes}.")
    try:
        return Localnet.model_validate_json(found[0].read_bytes())
    except ValidationError as error:
        raise UnknownNetwork(f"{found[0]} was written by another version of scripts/localnet. {_START}") from error
