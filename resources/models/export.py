"""Export of a checkpoint as a folder: the adapter for peft, or the merged model for transformers."""

from pathlib import Path

from atlas.content.store import ContentStore
from atlas.counts import counted
from atlas.errors import TrainingError
from atlas.home import AtlasHome
from atlas.ids import Cid
from resources.models.facts import model_facts


def export_model(cid: Cid, folder: Path, merged: bool, store: ContentStore, home: AtlasHome) -> None:
    """Write a checkpoint's adapter, or with `merged` the whole model, and its model card to `folder`.

    The folder has the public name of the base model, and no path of this machine. Raises `TrainingError` for a folder
    that is not empty, and if the adapter alone lacks a part of what was trained; otherwise as `model_facts`,
    `export_adapter` and `export_merged` do. Loads torch.
    """
    from atlas.training.export.adapter import export_adapter
    from atlas.training.export.folder import new_folder
    from atlas.training.export.merged_model import export_merged
    from atlas.training.export.model_card import model_card

    facts = model_facts(cid, store, home)
    found, cache = facts.checkpoint, home.root / "cache"
    if found.merged and not merged:
        raise TrainingError(
            f"Checkpoint {cid} is more than its adapter: the strategy {facts.spec.aggregation.strategy} has changed "
            f"the base weights, too ({counted(len(found.merged), 'file')} of merged factors). Export it with --merged."
        )
    with new_folder(folder) as partial:
        adapter = store.fetch(found.adapter)
        if merged:
            factors = [store.fetch(one) for one in found.merged]
            export_merged(facts.spec, facts.model, adapter, factors, cache, partial)
        else:
            export_adapter(facts.spec, facts.model, adapter, cache, partial, facts.base_name)
        (partial / "README.md").write_text(model_card(facts, merged), encoding="utf-8")
