"""Named networks: those that come with the package, and those of the user's own file."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from atlas.documents.document import describe_validation
from chain_bridge.client.network import EXPLORER, Network
from chain_bridge.errors import ChainError

EMBEDDED, LOCAL = "embedded", "local"
_PACKAGED = "networks.yaml"


class UnknownNetwork(ChainError):
    """No network has this name, or its address is unknown."""


class NetworksFileError(ChainError):
    """A file of networks cannot be read or has a bad field."""


class Preset(BaseModel):
    """A named chain. A chain on this machine has no fixed `url`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    about: str = ""
    chain_id: str = Field(min_length=1)
    url: str | None = Field(default=None, pattern=r"^grpc\+https?://[^/\s]+$", description="grpc+https://HOST:PORT")
    denom: str = Field(min_length=1)
    prefix: str = Field(min_length=1, description="prefix of its addresses")
    gas_price: float = Field(ge=0, description="in denom per unit of gas")
    max_fee: int | None = Field(default=None, gt=0, description="the most that one transaction may cost, in denom")
    max_gas: int | None = Field(default=None, gt=0, description="the most gas of one transaction")
    faucet: str | None = Field(default=None, pattern=r"^https://\S+$", description="address of a faucet for programs")
    faucet_page: str | None = Field(
        default=None, pattern=r"^https://\S+$", description="address of a faucet's web page, for people"
    )
    explorer: str | None = Field(
        default=None,
        pattern=EXPLORER,
        description="page of a transaction in a block explorer, with {hash} for its hash",
    )

    def network(self, url: str, contract: str | None = None) -> Network:
        """The settings of this network at a URL."""
        optional = {
            "max_fee": self.max_fee,
            "max_gas": self.max_gas,
            "faucet": self.faucet,
            "explorer": self.explorer,
            "contract": contract,
        }
        return Network(
            chain_id=self.chain_id,
            url=url,
            denom=self.denom,
            prefix=self.prefix,
            gas_price=self.gas_price,
            **{name: value for name, value in optional.items() if value is not None},
        )


def load_presets(own: Path | None = None) -> dict[str, Preset]:
    """Every named network. Entries of the file `own`, if it exists, add networks or override fields.

    Raises `NetworksFileError` that names the file and each bad field.
    """
    entries = _entries(files("chain_bridge").joinpath(_PACKAGED).read_text(encoding="utf-8"), _PACKAGED)
    if own is None or not own.exists():
        return {name: _preset(name, entry, _PACKAGED) for name, entry in entries.items()}
    try:
        text = own.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NetworksFileError(f"Cannot read the networks in {own}: {error}.") from error
    for name, entry in _entries(text, str(own)).items():
        entries[name] = {**entries.get(name, {}), **entry}
    return {name: _preset(name, entry, str(own)) for name, entry in entries.items()}


def find_preset(name: str, own: Path | None = None) -> Preset:
    """The network with this name; raises `UnknownNetwork` that lists the known names."""
    presets = load_presets(own)
    if name not in presets:
        adding = f"Add it to {own}" if own is not None else "Use one of them"
        raise UnknownNetwork(f"No network is called {name!r}; there are {', '.join(sorted(presets))}. {adding}.")
    return presets[name]


def _entries(text: str, source: str) -> dict[str, dict[str, Any]]:
    try:
        raw = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise NetworksFileError(f"{source} is not valid YAML: {error}") from error
    if not isinstance(raw, dict) or not all(isinstance(entry, dict) for entry in raw.values()):
        raise NetworksFileError(f"{source} must map names of networks to their fields, as in: dorado: {{url: …}}")
    return {str(name): entry for name, entry in raw.items()}


def _preset(name: str, entry: dict[str, Any], source: str) -> Preset:
    try:
        return Preset.model_validate(entry)
    except ValidationError as error:
        raise NetworksFileError(
            f"The network {name} of {source} is not valid:\n{describe_validation(error, Preset)}"
        ) from error
