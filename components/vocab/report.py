"""How well a vocabulary fits its corpus."""

import string
from collections.abc import Mapping, Sequence
from typing import Any

from albert_core.tokenization import Tokenizer
from albert_core.tokenization.sentencepiece import WORD_START

_ASCII = frozenset(string.printable + WORD_START)
_NUM_EXAMPLES = 5
_IRREGULARITIES = {
    "num_left_out_files": "files left out",
    "num_left_out_members": "files in archives left out, as they are no text of the corpus",
    "num_lines_outside_articles": "lines left out, as they are outside of <doc> ... </doc>",
    "num_sentences_not_sampled": "sentences not used, as vocab.memory_gb has no room for them",
    "num_invalid_utf8": "byte sequences replaced that are not UTF-8",
    "num_control_characters": "control characters removed",
    "num_cut_sentences": "sentences of more than 10,000 characters cut",
    "num_empty_texts": "rows without a text",
    "num_divided_sentences": "sentences of more than 4,192 bytes cut for training",
    "num_replaced_characters": "reserved characters (U+2585) replaced for training",
    "num_uncovered_words": "words left out of training, beyond vocab.character_coverage",
}


def describe_irregularities(counts: Mapping[str, int]) -> str:
    """Return counts of what was left out or changed as `count words; count words`.

    A name without words of its own stays as it is.
    """
    return "; ".join(
        f"{count:,} {_IRREGULARITIES.get(name, name)}" for name, count in counts.items()
    )


def describe_vocabulary(tokenizer: Tokenizer, sentences: Sequence[str]) -> dict[str, Any]:
    """Return metrics of how a vocabulary cuts sentences, with its special ids and five examples.

    `character_coverage` is the fraction of the characters of the text, as it is encoded, that are
    in tokens other than the unknown one, `unknown_fraction` the fraction of tokens that are it. The
    others are counts (`vocab_size`, `num_described_sentences`, `ascii_pieces`) and averages
    (`tokens_per_word`, `characters_per_token`). `special_ids` has the ids by token, and `examples`
    the `text` and the `pieces` of the first five sentences.
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
        "character_coverage": round(_character_coverage(tokenizer, sentences, encoded), 6),
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


def _character_coverage(
    tokenizer: Tokenizer, sentences: Sequence[str], encoded: Sequence[Sequence[int]]
) -> float:
    """Return the fraction of the sentences' characters that are in known tokens; 0 without any.

    Characters are counted in the tokens, without marks of words; in a sentence with an unknown
    token, which hides what it stands for, they are counted in the normalised text.
    """
    # By tokens, not by the text before encoding: SentencePiece normalises once more, and makes the
    # letters of a Korean syllable one again.
    unknown = tokenizer.special_ids.unknown
    num_covered = num_characters = 0
    for sentence, ids, tokens in zip(
        sentences, encoded, tokenizer.tokenize_batch(sentences), strict=True
    ):
        lengths = [len(tokenizer.without_mark(t).replace(WORD_START, "")) for t in tokens]
        pairs = zip(ids, lengths, strict=True)
        num_known = sum(length for index, length in pairs if index != unknown)
        num_covered += num_known
        if tokenizer.pieces[unknown] in tokens:
            # The token does not show the word that it stands for.
            num_characters += max(num_known, len("".join(tokenizer.preprocess(sentence).split())))
        else:
            num_characters += sum(lengths)
    return num_covered / max(1, num_characters)
