"""Texts in which [MASK] stands for a token to be predicted."""

from albert_core.tokenization.interface import Tokenizer

MASK = "[MASK]"


def encode_masked(tokenizer: Tokenizer, text: str) -> list[int]:
    """Return the token ids of a text, with the mask's id for every [MASK] in it.

    The parts between are encoded each by itself, without special tokens. Where one follows a
    [MASK] without a space, such as a full stop, its first token begins no word, if the vocabulary
    has such a token.
    """
    first, *others = text.split(MASK)
    ids = tokenizer.encode(first)
    for part in others:
        tokens = tokenizer.tokenize(part)
        if part[:1].strip():
            tokens = _without_word_start(tokenizer, tokens)
        ids += [tokenizer.special_ids.mask, *tokenizer.token_ids(tokens)]
    return ids


def _without_word_start(tokenizer: Tokenizer, tokens: list[str]) -> list[str]:
    """Return the tokens, the first without its mark of a word if the vocabulary has such a token.

    A first token that is only the mark is dropped; without such a token all stay as they are.
    """
    first = tokenizer.without_mark(tokens[0]) if tokens else ""
    if not first:
        return tokens[1:]
    is_known = tokenizer.token_ids([first]) != [tokenizer.special_ids.unknown]
    return [first, *tokens[1:]] if is_known else tokens
