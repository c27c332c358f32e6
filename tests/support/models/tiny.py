"""Build a tiny random BERT with a word tokenizer: `python -m tests.support.models.tiny FOLDER`.

It trains in milliseconds a step.
"""

import sys
from pathlib import Path

WORDS = {
    "negative": ["awful", "boring", "broken", "cheap", "dull", "poor", "sad", "weak"],
    "positive": ["bright", "fine", "good", "great", "happy", "lovely", "strong", "superb"],
}
FILLERS = ["the", "film", "phone", "story", "very", "was", "and", "price", "really", "today"]


def build(folder: Path) -> None:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {
        word: index for index, word in enumerate([*specials, *FILLERS, *WORDS["negative"], *WORDS["positive"]])
    }
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(vocab_size=len(vocabulary), max_position_embeddings=32, **shape)
    BertForSequenceClassification(config).save_pretrained(folder)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
