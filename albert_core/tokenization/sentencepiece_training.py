"""Train a SentencePiece vocabulary: the same sentences give the same bytes on every run."""

import io
import re
from collections.abc import Sequence

import sentencepiece

from albert_core.errors import InputError
from albert_core.tokenization.sentencepiece import (
    CONTROL_SYMBOLS,
    PAD_ID,
    UNKNOWN_ID,
    USER_DEFINED_SYMBOLS,
    SentencePieceTokenizer,
)
from albert_core.tokenization.text import preprocess_text

_NUM_THREADS = 2  # part of the result: other numbers of threads give other last digits


def train_sentencepiece(
    sentences: Sequence[str], *, size: int, character_coverage: float, lower_case: bool
) -> SentencePieceTokenizer:
    """Train a unigram model with the original's special pieces.

    Args:
        sentences: Text; their order is part of the result.
        size: Number of pieces, special ones included.
        character_coverage: Fraction of the text's characters that get a piece.
        lower_case: Whether text is lower-cased, here and by the tokenizer returned.

    Raises:
        InputError: The text is too little for the size, or has too many characters.
    """
    model = io.BytesIO()
    preprocessed = (preprocess_text(text, lower_case=lower_case) for text in sentences)
    try:
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=filter(None, preprocessed),
            model_writer=model,
            model_type="unigram",
            vocab_size=size,
            character_coverage=character_coverage,
            pad_id=PAD_ID,
            unk_id=UNKNOWN_ID,
            bos_id=-1,
            eos_id=-1,
            control_symbols=list(CONTROL_SYMBOLS),
            user_defined_symbols=list(USER_DEFINED_SYMBOLS),
            # The sample has its order already, the same on every run; shuffling would not be.
            shuffle_input_sentence=False,
            num_threads=_NUM_THREADS,
            minloglevel=1,
        )
    except RuntimeError as error:
        raise _size_error(size, error) from error
    return SentencePieceTokenizer(model.getvalue(), lower_case=lower_case)


def _size_error(size: int, error: RuntimeError) -> Exception:
    """Return an InputError if the trainer complains about the size, else the error as it is."""
    # SentencePiece raises one type for everything: only its message tells what is wrong.
    largest = re.search(r"value <= (\d+)", str(error))
    if largest:
        remedy = f"at most {largest[1]}"
    elif re.search(r"smaller than required_chars|required_chars", str(error)):
        remedy = "more, to hold every character of the text"
    else:
        return error
    return InputError(f"vocab.size: got {size}, expected {remedy} for this corpus")
