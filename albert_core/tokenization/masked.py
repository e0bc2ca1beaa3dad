"""Texts in which [MASK] stands for what is to be predicted."""

from albert_core.tokenization.interface import Tokenizer
from albert_core.tokenization.sentencepiece import WORD_START

MASK = "[MASK]"


def encode_masked(tokenizer: Tokenizer, text: str) -> list[int]:
    """Return the piece ids of a text, with the id of the mask for every [MASK] in it.

    What directly follows a [MASK], such as a full stop, begins no word; everything else is encoded
    as it would be without.
    """
    first, *others = text.split(MASK)
    ids = tokenizer.encode(first)
    for part in others:
        pieces = tokenizer.tokenize(part)
        if part[:1].strip():
            pieces = _without_word_start(tokenizer, pieces)
        ids += [tokenizer.special_ids.mask, *tokenizer.ids_of(pieces)]
    return ids


def _without_word_start(tokenizer: Tokenizer, pieces: list[str]) -> list[str]:
    """Return the pieces, the first one without its word start if there is such a piece."""
    first = pieces[0].removeprefix(WORD_START) if pieces else ""
    if not first:
        return pieces[1:]
    is_known = tokenizer.ids_of([first]) != [tokenizer.special_ids.unknown]
    return [first, *pieces[1:]] if is_known else pieces
