"""Decides which contents a storage node keeps. Pure: the state on chain and file sizes in, CIDs out."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from atlas.ids import Cid
from chain_bridge.client.messages import Holding, RegisteredModel


class StorageChanges(NamedTuple):
    """CIDs to announce, most wanted first, and CIDs that are announced and to be dropped, sorted."""

    add: list[Cid]
    drop: list[Cid]


def checkpoints_to_keep(models: Iterable[RegisteredModel]) -> list[Cid]:
    """The checkpoints of models that are not deprecated: promoted ones first, then by version, newest first."""
    usable = [model for model in models if model.status != "deprecated"]
    ordered = sorted(usable, key=lambda model: (model.status != "promoted", -model.version, model.name))
    return list(dict.fromkeys(model.cid for model in ordered))


def fitting(models: Iterable[Mapping[Cid, int]], most_contents: int, most_bytes: int) -> list[Cid]:
    """The CIDs of the models that fit into the limits, in their order; each is kept whole or not at all.

    A model is a mapping from the CIDs of its files to their bytes. Files that several models share count once.
    """
    chosen: dict[Cid, int] = {}
    for files in models:
        together = {**chosen, **files}
        if len(together) <= most_contents and sum(together.values()) <= most_bytes:
            chosen = together
    return list(chosen)


def changes(wanted: Sequence[Cid], holdings: Sequence[Holding], lost: Collection[Cid], capacity: int) -> StorageChanges:
    """Compare what is wanted with what is announced. A content that is `lost` here is dropped.

    The contract does not let a content go while its audit is open.
    """
    announced = {one.cid for one in holdings}
    audited = {one.cid for one in holdings if one.audit is not None}
    drop = sorted((announced - set(wanted) | announced & set(lost)) - audited)
    room = capacity - len(announced) + len(drop)
    return StorageChanges([cid for cid in wanted if cid not in announced][: max(room, 0)], drop)
