"""How a vocabulary fits its text."""

import collections
import string
from collections.abc import Sequence
from typing import Any

from albert_core.tokenization import Tokenizer
from albert_core.tokenization.wordpiece import CONTINUATION

_WORD_MARK = "▁"  # before the pieces that begin a word, of SentencePiece
_ASCII = frozenset(string.printable + _WORD_MARK)
_NUM_EXAMPLES = 5


def describe_vocabulary(tokenizer: Tokenizer, sentences: Sequence[str]) -> dict[str, Any]:
    """Return how a vocabulary cuts sentences, with examples.

    `character_coverage` is the share of their characters that have a piece of their own,
    `unknown_fraction` the share of pieces that stand for something the vocabulary lacks.
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
        "character_coverage": round(_coverage(tokenizer, sentences), 6),
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


def _coverage(tokenizer: Tokenizer, sentences: Sequence[str]) -> float:
    own = {piece.removeprefix(CONTINUATION).removeprefix(_WORD_MARK) for piece in tokenizer.pieces}
    counts = collections.Counter[str]()
    for sentence in sentences:
        counts.update("".join(tokenizer.preprocess(sentence).split()))
    covered = sum(count for character, count in counts.items() if character in own)
    return covered / max(1, counts.total())
