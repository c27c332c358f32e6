"""Writing a node's settings: each with its meaning above it."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from atlas.disk.files import write_file
from atlas.documents.document import describe_validation
from atlas.errors import SpecError
from atlas.spec.job import read_mapping
from node_agent.errors import ConfigError
from node_agent.home.config import NodeConfig, NodeHome

SHARED = ("network", "bus", "content")


def commented_yaml(config: NodeConfig) -> str:
    """The settings as YAML, each with its meaning above it."""
    parts = ["# Settings of this Atlas node.\n"]
    for name, value in config.model_dump(mode="json").items():
        parts.append(f"\n# {NodeConfig.model_fields[name].description}\n")
        parts.append(yaml.safe_dump({name: value}, sort_keys=False))
    return "".join(parts)


def write_first_config(home: NodeHome, network_file: Path) -> NodeConfig:
    """Write and return settings for the network that a coordinator's `network.json`, or a YAML file like it, describes.

    Raises `ConfigError` when there are settings already, or the file does not describe a network.
    """
    try:
        raw = read_mapping(network_file)
        config = NodeConfig.model_validate({name: raw[name] for name in SHARED if name in raw})
    except SpecError as error:
        raise ConfigError(f"Cannot read the network's description: {error}") from error
    except ValidationError as error:
        raise ConfigError(
            f"{network_file} does not describe a network:\n{describe_validation(error, NodeConfig)}"
        ) from error
    if home.config.exists():
        raise ConfigError(f"{home.config} exists already. Edit it, or remove it first.")
    write_file(home.config, commented_yaml(config).encode(), ConfigError, keep_first=True, folder_mode=0o700)
    return config
