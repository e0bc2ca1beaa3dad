"""Train a SentencePiece vocabulary: the same sentences give the same bytes on every run."""

import io
import re
import unicodedata
from collections.abc import Iterable, Iterator

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
from albert_core.tokenization.training_counts import TrainingCounts

_MAX_SENTENCE_BYTES = 4192  # SentencePiece drops longer ones; its default, which the model holds
_RESERVED = "\u2585"  # SentencePiece drops sentences with this sign: its own for the unknown piece
# Vowels and final consonants of Korean syllables that NFKD has taken apart.
_FIRST_MEDIAL_JAMO, _LAST_FINAL_JAMO = "\u1160", "\u11ff"
_NUM_THREADS = 2  # part of the result: other numbers of threads give other last digits


def train_sentencepiece(
    sentences: Iterable[str],
    *,
    size: int,
    character_coverage: float,
    lower_case: bool,
    strip_accents: bool = True,
) -> SentencePieceTokenizer:
    """Train a unigram model with the original's special pieces.

    The text is normalised first. Sentences that SentencePiece would drop are changed or divided,
    which is counted in `training_counts` of the tokenizer.

    Args:
        sentences: Text, read once; their order is part of the result.
        size: Number of pieces, special ones included.
        character_coverage: Fraction of the text's characters that get a piece.
        lower_case: Whether text is lower-cased, here and by the tokenizer returned.
        strip_accents: Whether accents are dropped, here and by the tokenizer returned.

    Raises:
        InputError: The text is too little for the size, or has too many characters.
    """
    model = io.BytesIO()
    counts = TrainingCounts()
    preprocessed = (
        preprocess_text(text, lower_case=lower_case, strip_accents=strip_accents)
        for text in sentences
    )
    try:
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=usable_sentences(preprocessed, counts),
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
        raise _training_error(size, error, counts) from error
    tokenizer = SentencePieceTokenizer(
        model.getvalue(), lower_case=lower_case, strip_accents=strip_accents
    )
    tokenizer.training_counts = counts
    return tokenizer


def usable_sentences(texts: Iterable[str], counts: TrainingCounts) -> Iterator[str]:
    """Yield texts, changed so that SentencePiece drops none: no reserved sign, long ones in parts.

    Texts that are empty then are left out. What was replaced and divided is added to `counts`. Long
    is what has over 4,192 bytes.
    """
    for text in texts:
        if _RESERVED in text:
            counts.num_replaced_characters += text.count(_RESERVED)
            text = " ".join(text.replace(_RESERVED, " ").split())
        if len(text) * 4 <= _MAX_SENTENCE_BYTES or len(text.encode()) <= _MAX_SENTENCE_BYTES:
            if text:
                yield text
            continue
        counts.num_divided_sentences += 1
        yield from _divide(text)


def _divide(text: str) -> Iterator[str]:
    """Yield the parts of a text in order, each of at most 4,192 bytes of UTF-8.

    Each is cut at its last space, which is left out; without one at its last boundary of
    characters.
    """
    data = text.encode()
    while len(data) > _MAX_SENTENCE_BYTES:
        beginning = data[: _MAX_SENTENCE_BYTES + 1].decode(errors="ignore")
        space = beginning.rfind(" ")
        end = space if space > 0 else _last_boundary(beginning)
        yield beginning[:end]
        data = data[len(beginning[:end].encode()) :].lstrip(b" ")
    if data:
        yield data.decode()


def _last_boundary(text: str) -> int:
    """Return the last place in a text, not its end, before which it can be cut.

    That is a place where no combining mark or part of a Korean syllable follows. If there is none,
    the last character is cut off.
    """
    for place in range(len(text) - 1, 0, -1):
        is_jamo = _FIRST_MEDIAL_JAMO <= text[place] <= _LAST_FINAL_JAMO
        if not is_jamo and not unicodedata.category(text[place]).startswith("M"):
            return place
    return len(text) - 1


def _training_error(size: int, error: RuntimeError, counts: TrainingCounts) -> InputError:
    """Return an InputError for an error of the SentencePiece trainer.

    If the trainer's message has the largest or the smallest size that suits the corpus, the error
    asks for at most or at least that size; otherwise it quotes the message. If sentences were
    divided because they were too long, it says how many.

    Args:
        size: The size that was asked for.
        error: What the trainer raised.
        counts: What was changed in the text.
    """
    # SentencePiece raises one type for everything: only its message tells what is wrong.
    cut = (
        f" ({counts.num_divided_sentences:,} of its sentences have more than "
        f"{_MAX_SENTENCE_BYTES:,} bytes and were cut)"
        if counts.num_divided_sentences
        else ""
    )
    largest = re.search(r"value <= (\d+)", str(error))
    least = re.search(r"smaller than required_chars. \d+ vs (\d+)", str(error))
    if largest:
        remedy = f"at most {largest[1]} for this corpus"
    elif least:
        remedy = (
            f"at least {least[1]}, to hold every character of this corpus, or a lower "
            "vocab.character_coverage"
        )
    else:
        reason = " ".join(str(error).split())
        return InputError(f"vocab: SentencePiece cannot train on this corpus{cut}: {reason}")
    return InputError(f"vocab.size: got {size}, expected {remedy}{cut}")
