"""Tokenize many texts in chunks, reporting activity after each chunk."""

from typing import Any

from transformers import PreTrainedTokenizerBase

from atlas import activity

TEXTS_AT_ONCE = 1000


def token_ids(tokenizer: PreTrainedTokenizerBase, texts: list[str], **options: Any) -> list[list[int]]:
    """The token ids of each text, without padding; `options` go to the tokenizer."""
    ids: list[list[int]] = []
    for first in range(0, len(texts), TEXTS_AT_ONCE):
        ids += tokenizer(texts[first : first + TEXTS_AT_ONCE], **options)["input_ids"]
        activity.advance()
    return ids
