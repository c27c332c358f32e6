"""The tokens of the web server, in the coordinator's folder."""

import secrets
from pathlib import Path

from atlas.disk.private_file import create_private_file
from atlas.home import AtlasHome
from atlas_pipelines.webserver.requests import Tokens

BYTES = 32


def load_or_create_tokens(home: AtlasHome) -> Tokens:
    """The tokens in `keys/` (mode 600); created on first use. To replace one, remove its file and restart."""
    return Tokens(operator=_token(home.webserver_token), guest=_token(home.guest_token))


def _token(path: Path) -> str:
    if not path.exists():
        create_private_file(path, secrets.token_urlsafe(BYTES).encode())
    return path.read_text().strip()
