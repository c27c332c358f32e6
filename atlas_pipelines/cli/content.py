"""The content store that a command reads."""

import os

from atlas.content.local import LocalStore
from atlas.home import AtlasHome
from resources.settings import explicit_network


def open_content(home: AtlasHome) -> LocalStore:
    """The coordinator's content: of the network that `$ATLAS_NETWORK` describes, or else in `$ATLAS_HOME`."""
    explicit = explicit_network(os.environ)
    return LocalStore(explicit.content if explicit else home.content)
