"""Trainers: a sample of sentences to a vocabulary, the same bytes on every run."""

import collections
import io
import re
from collections.abc import Sequence

import sentencepiece

from albert_core.errors import InputError
from albert_core.tokenization import SentencePieceTokenizer, Tokenizer, preprocess_text
from albert_core.tokenization.config import VocabConfig
from albert_core.tokenization.sentencepiece import (
    CONTROL_SYMBOLS,
    PAD_ID,
    UNKNOWN_ID,
    USER_DEFINED_SYMBOLS,
)
from albert_core.tokenization.wordpiece import CONTINUATION, PAD, UNKNOWN, WordPieceTokenizer

_NUM_THREADS = 2  # part of the result: other numbers of threads give other last digits


def train_tokenizer(sentences: Sequence[str], config: VocabConfig) -> Tokenizer:
    """Train a vocabulary of the kind the settings name.

    Raises:
        InputError: The text is too little for its size, or has too many characters.
    """
    trainers = {"sentencepiece": train_sentencepiece, "wordpiece": train_wordpiece}
    return trainers[config.kind](sentences, config)


def train_sentencepiece(sentences: Sequence[str], config: VocabConfig) -> SentencePieceTokenizer:
    """Train a unigram model with the original's special pieces."""
    model = io.BytesIO()
    preprocessed = (preprocess_text(text, lower_case=config.lower_case) for text in sentences)
    try:
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=filter(None, preprocessed),
            model_writer=model,
            model_type="unigram",
            vocab_size=config.size,
            character_coverage=config.character_coverage,
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
        raise _bad_size(config.size, error) from error
    return SentencePieceTokenizer(model.getvalue(), lower_case=config.lower_case)


def _bad_size(size: int, error: RuntimeError) -> Exception:
    """Return the error of a vocabulary the text cannot give; any other error as it is."""
    largest = re.search(r"value <= (\d+)", str(error))
    if largest:
        remedy = f"at most {largest[1]}"
    elif re.search(r"smaller than required_chars|required_chars", str(error)):
        remedy = "more, to hold every character of the text"
    else:
        return error
    return InputError(f"vocab.size: got {size}, expected {remedy} for this corpus")


def train_wordpiece(sentences: Sequence[str], config: VocabConfig) -> WordPieceTokenizer:
    """Train WordPiece on words as `WordPieceTokenizer` finds them.

    The trainer numbers pieces it meets in the order of a hash table. It meets none here: all
    characters, at the beginning of words and inside, are given to it in order.
    """
    import tokenizers

    specials = [PAD, UNKNOWN, *CONTROL_SYMBOLS]
    reader = WordPieceTokenizer(specials, lower_case=config.lower_case)
    words = collections.Counter(word for text in sentences for word in reader.words(text))
    characters = _covered_characters(words, config.character_coverage)
    known = {word: n for word, n in words.items() if characters.issuperset(word)}
    pieces = [*specials, *_characters_of(known)]
    if config.size < len(pieces):
        raise InputError(
            f"vocab.size: got {config.size}, expected at least {len(pieces)}, to hold every "
            "character of the text; or lower vocab.character_coverage"
        )
    trained = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token=UNKNOWN))
    trained.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=config.size,
        special_tokens=pieces,
        continuing_subword_prefix=CONTINUATION,
        show_progress=False,
    )
    trained.train_from_iterator(
        (text for word in sorted(known) for text in [word] * known[word]), trainer
    )
    ids = trained.get_vocab()
    if len(ids) < config.size:
        raise InputError(
            f"vocab.size: got {config.size}, expected at most {len(ids)} for this corpus"
        )
    return WordPieceTokenizer(sorted(ids, key=ids.__getitem__), lower_case=config.lower_case)


def _covered_characters(words: collections.Counter[str], coverage: float) -> set[str]:
    """Return the most frequent characters that make up a share of the text."""
    counts = collections.Counter[str]()
    for word, count in words.items():
        for character in word:
            counts[character] += count
    needed = coverage * counts.total()
    covered: set[str] = set()
    for character, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if needed <= 0:
            break
        covered.add(character)
        needed -= count
    return covered


def _characters_of(words: Sequence[str] | dict[str, int]) -> list[str]:
    """Return the pieces of one character that words begin with or have inside, in order."""
    first = {word[0] for word in words}
    inside = {character for word in words for character in word[1:]}
    return [*sorted(first | inside), *sorted(CONTINUATION + character for character in inside)]
