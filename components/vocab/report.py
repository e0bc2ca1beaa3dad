"""How well a vocabulary fits its corpus."""

import collections
import string
from collections.abc import Sequence
from typing import Any

from albert_core.tokenization import Tokenizer
from albert_core.tokenization.sentencepiece import WORD_START

_ASCII = frozenset(string.printable + WORD_START)
_NUM_EXAMPLES = 5


def describe_vocabulary(tokenizer: Tokenizer, sentences: Sequence[str]) -> dict[str, Any]:
    """Return metrics of how a vocabulary cuts sentences, with five tokenized examples.

    `character_coverage` is the fraction of their characters that are pieces by themselves,
    `unknown_fraction` the fraction of tokens that are the unknown one.
    """
    encoded = tokenizer.encode_batch(sentences)
    num_words = sum(len(sentence.split()) for sentence in sentences)
    num_tokens = max(1, sum(map(len, encoded)))
    num_unknown = sum(ids.count(tokenizer.special_ids.unknown) for ids in encoded)
    special = tokenizer.special_ids
    return {
        "vocab_size": len(tokenizer),
        "num_described_sentences": len(sentences),
        "tokens_per_word": round(num_tokens / max(1, num_words), 3),
        "characters_per_token": round(sum(map(len, sentences)) / num_tokens, 2),
        "character_coverage": round(_character_coverage(tokenizer, sentences), 6),
        "unknown_fraction": round(num_unknown / num_tokens, 6),
        "ascii_pieces": sum(set(piece) <= _ASCII for piece in tokenizer.pieces),
        "special_ids": {
            tokenizer.pieces[index]: index
            for index in (special.pad, special.unknown, special.cls, special.sep, special.mask)
        },
        "examples": [
            {"text": sentence, "pieces": tokenizer.tokenize(sentence)}
            for sentence in sentences[:_NUM_EXAMPLES]
        ],
    }


def _character_coverage(tokenizer: Tokenizer, sentences: Sequence[str]) -> float:
    """Return the fraction of the sentences' characters that are pieces by themselves."""
    covered = set(map(tokenizer.without_mark, tokenizer.pieces))
    counts = collections.Counter[str]()
    for sentence in sentences:
        counts.update("".join(tokenizer.preprocess(sentence).split()))
    num_covered = sum(count for character, count in counts.items() if character in covered)
    return num_covered / max(1, counts.total())
