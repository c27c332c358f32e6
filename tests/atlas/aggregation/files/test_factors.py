"""Which tensors of an adapter are LoRA factors, and which of them a strategy freezes."""

import pytest

from atlas.aggregation.files.factors import EMBEDDING, LINEAR, LoraModule, factor_of, lora_modules, role_of
from atlas.errors import AggregationError

QUERY = "base_model.model.bert.encoder.layer.0.attention.self.query"
TOKENS = "base_model.model.model.embed_tokens"
HEAD = "base_model.model.classifier.weight"


def test_factors_of_linear_layers_and_of_embeddings_are_factors():
    names = [f"{QUERY}.lora_A.weight", f"{QUERY}.lora_B.weight", f"{TOKENS}.lora_embedding_A"]
    assert [factor_of(name) for name in [*names, f"{TOKENS}.lora_embedding_B", HEAD]] == ["A", "B", "A", "B", None]


def test_an_embedding_swaps_the_roles_since_its_a_starts_at_zero():
    names = [f"{QUERY}.lora_A.weight", f"{QUERY}.lora_B.weight", f"{TOKENS}.lora_embedding_A"]
    assert [role_of(name) for name in [*names, f"{TOKENS}.lora_embedding_B", HEAD]] == ["A", "B", "B", "A", None]


def test_modules_are_listed_once_by_name_with_the_names_of_their_factors():
    found = lora_modules(["v.lora_B.weight", "e.lora_embedding_B", HEAD, "v.lora_A.weight", "e.lora_embedding_A"])
    assert found == [LoraModule("e", EMBEDDING), LoraModule("v", LINEAR)]
    assert [(one.a, one.b) for one in found] == [
        ("e.lora_embedding_A", "e.lora_embedding_B"),
        ("v.lora_A.weight", "v.lora_B.weight"),
    ]


@pytest.mark.parametrize("name", ["q.lora_magnitude_vector.weight", "q.lora_A.bias", "e.lora_embedding_A.default"])
@pytest.mark.parametrize("ask", [factor_of, role_of, lambda name: lora_modules([name])])
def test_a_part_of_an_adapter_that_no_rule_knows_is_refused_by_name(ask, name):
    with pytest.raises(AggregationError, match=f"{name} belongs to LoRA, but is not a factor"):
        ask(name)
