"""The licence of a base model, from its model card or its GGUF weights."""

from pathlib import Path

from atlas.errors import ModelError
from atlas.models.files import locate_model

GGUF_FIELD = "general.license"


def base_license(source: str, revision: str | None, cache: Path) -> str | None:
    """The licence in a base model's own card or GGUF file, such as `apache-2.0`; None when neither has one.

    The licence of a Python package that contains the model applies to the package, so it is ignored.
    """
    try:
        files = locate_model(source, revision, cache)
    except ModelError:
        return None
    folder = next(iter(files.values())).parent
    card = (
        _hub_card(source.removeprefix("hub:"), revision, cache) if source.startswith("hub:") else folder / "README.md"
    )
    weights = [path for name, path in files.items() if name.endswith(".gguf")]
    return _of_card(card) or (_of_gguf(weights[0]) if weights else None)


def _of_card(card: Path | None) -> str | None:
    from huggingface_hub import metadata_load

    if card is None or not card.is_file():
        return None
    try:
        found = (metadata_load(card) or {}).get("license")
    except ValueError:  # a card without YAML metadata at its start
        return None
    return found if isinstance(found, str) else None


def _of_gguf(weights: Path) -> str | None:
    from gguf import GGUFReader

    field = GGUFReader(weights).fields.get(GGUF_FIELD)
    return None if field is None else str(field.contents())


def _hub_card(repository: str, revision: str | None, cache: Path) -> Path | None:
    """The card of a hub model, from the cache or the hub; None when it is not available."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(hf_hub_download(repository, "README.md", revision=revision, cache_dir=cache / "hub"))
    except (HfHubHTTPError, OSError, ValueError):
        return None
