"""Which contents a storage node keeps, from the models on chain and the files' sizes."""

import base64

from chain_bridge.client.messages import Holding, RegisteredModel
from node_agent.storage.plan import StorageChanges, changes, checkpoints_to_keep, fitting


def model(name: str, version: int, status: str = "registered") -> RegisteredModel:
    fields = {"name": name, "version": version, "cid": f"{name}{version}", "job": 1, "parent": None, "metrics": None}
    return RegisteredModel.model_validate({**fields, "status": status})


def holding(cid: str, audited: bool = False) -> Holding:
    text = base64.b64encode(bytes(32)).decode()
    audit = {"nonce": text, "answer_hash": text, "until": 9} if audited else None
    return Holding.model_validate({"cid": cid, "node": 1, "since": 1, "proven_at": None, "audit": audit})


def test_promoted_models_come_first_and_deprecated_ones_not_at_all() -> None:
    models = [model("a", 1, "promoted"), model("a", 2), model("a", 3, "deprecated"), model("b", 2), model("b", 1)]
    assert checkpoints_to_keep(models) == ["a1", "a2", "b2", "b1"]


def test_one_checkpoint_under_two_names_is_kept_once() -> None:
    twin = model("b", 5).model_copy(update={"cid": "a1"})
    assert checkpoints_to_keep([model("a", 1), twin]) == ["a1"]


def test_a_model_is_kept_whole_or_not_at_all() -> None:
    first, second, third = {"a": 10, "shared": 5}, {"b": 50, "shared": 5}, {"c": 20, "shared": 5}
    assert fitting([first, second, third], most_contents=9, most_bytes=64) == ["a", "shared", "c"]
    assert fitting([first, second, third], most_contents=9, most_bytes=65) == ["a", "shared", "b"]
    assert fitting([first, second, third], most_contents=2, most_bytes=999) == ["a", "shared"]
    assert fitting([first], most_contents=1, most_bytes=999) == []


def test_what_is_wanted_is_compared_with_what_is_announced() -> None:
    assert changes(["a", "b"], [holding("b"), holding("c")], lost=[], capacity=9) == StorageChanges(["a"], ["c"])
    assert changes(["a", "b"], [holding("b")], lost=["b"], capacity=9) == StorageChanges(["a"], ["b"])


def test_an_audited_content_stays_and_keeps_its_place() -> None:
    held = [holding("old", audited=True), holding("b")]
    assert changes(["b", "c", "d"], held, lost=[], capacity=3) == StorageChanges(["c"], [])
