"""Whether a token begins a word, by the tables of bits of `Tokenizer.word_borders`."""

from typing import Any

from albert_core.processes.kernels import kernel
from albert_core.tokenization.word_borders import BEGINS_WORD, ENDS_WORD


@kernel(inline="always")
def begins_word(word_starts: Any, token: int, previous: int) -> bool:
    """Return whether a token begins a word: by itself, or because the one before it ends one.

    Args:
        word_starts: uint8 [V], as `Tokenizer.word_borders` returns it; or bool [V].
        token: Id of the token.
        previous: Id of the token before it.
    """
    return (word_starts[token] & BEGINS_WORD) > 0 or (word_starts[previous] & ENDS_WORD) > 0
