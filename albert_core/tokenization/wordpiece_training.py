"""Train a WordPiece vocabulary: the same sentences give the same bytes on every run."""

import collections
from collections.abc import Iterable

from albert_core.errors import InputError
from albert_core.tokenization.training_counts import TrainingCounts
from albert_core.tokenization.wordpiece import (
    CONTINUATION,
    PAD,
    UNKNOWN,
    WordPieceTokenizer,
)

_SPECIALS = (PAD, UNKNOWN, "[CLS]", "[SEP]", "[MASK]")


def train_wordpiece(
    sentences: Iterable[str],
    *,
    size: int,
    character_coverage: float,
    lower_case: bool,
    strip_accents: bool = True,
) -> WordPieceTokenizer:
    """Train WordPiece on words as `WordPieceTokenizer` splits them off.

    Words with a character that gets no piece are left out, and counted in `training_counts` of the
    tokenizer. The order of the sentences does not matter.

    Args:
        sentences: Text, read once, in any order.
        size: Number of pieces, special ones included.
        character_coverage: Fraction of the text's characters that get a piece.
        lower_case: Whether text is lower-cased, here and by the tokenizer returned.
        strip_accents: Whether accents are dropped where text is lower-cased, here and by the
            tokenizer returned.

    Raises:
        InputError: The text is too little for the size, or has too many characters.
    """
    import tokenizers

    normalization = {"lower_case": lower_case, "strip_accents": strip_accents}
    splitter = WordPieceTokenizer(_SPECIALS, **normalization)
    words = collections.Counter(word for text in sentences for word in splitter.words(text))
    characters = _frequent_characters(words, character_coverage)
    covered = {word: count for word, count in words.items() if characters.issuperset(word)}
    # The trainer numbers characters it meets in the order of a hash table, another one in every
    # process. It meets none: all are passed as special tokens, in order, before it starts.
    first_pieces = [*_SPECIALS, *_single_characters(covered)]
    if size < len(first_pieces):
        raise InputError(
            f"vocab.size: got {size}, expected at least {len(first_pieces)}, to hold every "
            "character of the text; or lower vocab.character_coverage"
        )
    trained = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token=UNKNOWN))
    trained.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=size,
        special_tokens=first_pieces,
        continuing_subword_prefix=CONTINUATION,
        show_progress=False,
    )
    # Sorted, so that the order of the sentences cannot matter.
    trained.train_from_iterator(
        (text for word in sorted(covered) for text in [word] * covered[word]), trainer
    )
    ids = trained.get_vocab()
    if len(ids) < size:
        raise InputError(f"vocab.size: got {size}, expected at most {len(ids)} for this corpus")
    tokenizer = WordPieceTokenizer(sorted(ids, key=ids.__getitem__), **normalization)
    tokenizer.training_counts = TrainingCounts(
        num_uncovered_words=words.total() - sum(covered.values())
    )
    return tokenizer


def _frequent_characters(words: collections.Counter[str], coverage: float) -> set[str]:
    """Return the fewest most frequent characters that make up `coverage` of all words or more.

    Coverage is counted in characters; of equally frequent ones the lower code point comes first.
    """
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


def _single_characters(words: Iterable[str]) -> list[str]:
    """Return the pieces of one character: all characters, then with ## those inside words.

    Each of the two parts is sorted.
    """
    first = {word[0] for word in words}
    inside = {character for word in words for character in word[1:]}
    return [*sorted(first | inside), *sorted(CONTINUATION + character for character in inside)]
