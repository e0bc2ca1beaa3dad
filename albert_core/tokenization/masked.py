"""Texts in which [MASK] stands for a token to be predicted."""

from albert_core.tokenization.interface import Tokenizer

MASK = "[MASK]"


def encode_masked(tokenizer: Tokenizer, text: str) -> list[int]:
    """Return the token ids of a text, with the mask's id for every [MASK] in it.

    The parts between are encoded each by itself, without special tokens. A part that follows a
    [MASK] without a space, such as a full stop, begins no word there: in pretraining, too, a mask
    stands for the last token before it.
    """
    first, *others = text.split(MASK)
    ids = tokenizer.encode(first)
    for part in others:
        ids += [tokenizer.special_ids.mask, *tokenizer.encode_continuation(part)]
    return ids
