"""Encode sentences whose words have tags, long ones in windows that overlap.

Each word is encoded by itself, and its first token stands for it, as in transformers
(`is_split_into_words`).

Shape suffixes: T tokens of all sequences, W words.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from albert_core.finetuning.features import Features
from albert_core.tasks import TaggedSentence
from albert_core.tokenization import Tokenizer

NO_TAG = -1
"""Target of tokens that do not stand for a word."""

_NUM_SPECIAL = 2  # [CLS] and [SEP]
_OVERLAP = 4  # two windows share at most a fourth of their tokens


@dataclasses.dataclass(frozen=True, kw_only=True)
class SentenceWindow:
    """The words of a sentence whose tags are predicted from one sequence.

    Attributes:
        sentence: Number of the sentence.
        first_word: Number of the first of these words in the sentence.
        positions: Position in the sequence of the first token of each, int [W].
    """

    sentence: int
    first_word: int
    positions: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenFeatures:
    """The sequences of sentences.

    Attributes:
        features: The sequences; if all sentences have tags with the target `tags`, int32 [T], that
            of its word for each first token of one, `NO_TAG` for all others. `num_left_out` is the
            number of tokens that are cut off.
        windows: The words that each sequence is for.
        cut_sentences: Numbers of the sentences with a word that is cut.
    """

    features: Features
    windows: list[SentenceWindow]
    cut_sentences: frozenset[int]


def make_token_features(
    sentences: Sequence[TaggedSentence], tokenizer: Tokenizer, sequence_length: int
) -> TokenFeatures:
    """Return the sequences [CLS] words [SEP]; a long sentence has several.

    These overlap by up to a fourth, and each word belongs to the one that shows more around it. A
    word with more tokens than a sequence has room for loses its end. A word without tokens, such as
    one of only invisible characters, becomes [UNK].

    Args:
        sentences: The sentences.
        tokenizer: The tokenizer.
        sequence_length: Longest sequence in tokens, special ones included; at least 3.
    """
    room = sequence_length - _NUM_SPECIAL
    # Each word once: few are different.
    words = list(dict.fromkeys(word for sentence in sentences for word in sentence.words))
    ids_of = dict(zip(words, tokenizer.encode_batch(words), strict=True))
    builder = _Builder(tokenizer, has_tags=all(sentence.tags is not None for sentence in sentences))
    num_cut, cut_sentences = 0, set()
    for number, sentence in enumerate(sentences):
        whole_ids = [ids_of[word] or [tokenizer.special_ids.unknown] for word in sentence.words]
        word_ids = [ids[:room] for ids in whole_ids]
        num_lost = sum(map(len, whole_ids)) - sum(map(len, word_ids))
        if num_lost:
            num_cut += num_lost
            cut_sentences.add(number)
        builder.add(number, word_ids, sentence.tags, room)
    return TokenFeatures(
        features=builder.features(num_cut),
        windows=builder.windows,
        cut_sentences=frozenset(cut_sentences),
    )


class _Builder:
    """Collects the sequences of sentences, sentence by sentence.

    Args:
        tokenizer: Tells the ids of [CLS] and [SEP].
        has_tags: Whether all sentences have tags, so that the features have targets.

    Attributes:
        windows: What each sequence so far is for.
    """

    def __init__(self, tokenizer: Tokenizer, *, has_tags: bool) -> None:
        self.windows: list[SentenceWindow] = []
        self._special_ids, self._has_tags = tokenizer.special_ids, has_tags
        self._sequences: list[list[int]] = []
        self._tags: list[np.ndarray] = []

    def add(
        self, number: int, word_ids: Sequence[list[int]], tags: Sequence[int] | None, room: int
    ) -> None:
        """Add the windows of a sentence.

        Args:
            number: Its number.
            word_ids: The token ids of each word, at least one each.
            tags: The tag of each word; read only if all sentences have tags.
            room: Most tokens of a window, no fewer than a word has.
        """
        lengths = [len(ids) for ids in word_ids]
        for (start, end), (first, last) in _windows(lengths, room):
            shown = [token for ids in word_ids[start:end] for token in ids]
            # `dtype`: in a window of one word there is nothing to add up, which would be float64.
            begins = 1 + np.concatenate([[0], np.cumsum(lengths[start : end - 1], dtype=int)])
            positions = begins[first - start : last - start]
            self._sequences.append([self._special_ids.cls, *shown, self._special_ids.sep])
            self.windows.append(
                SentenceWindow(sentence=number, first_word=first, positions=positions)
            )
            if self._has_tags and tags is not None:
                targets = np.full(len(shown) + _NUM_SPECIAL, NO_TAG, np.int32)
                targets[positions] = tags[first:last]
                self._tags.append(targets)

    def features(self, num_cut: int) -> Features:
        """Return all sequences, with tags if the sentences have them."""
        tags = np.concatenate([np.zeros(0, np.int32), *self._tags])
        return Features.from_sequences(
            self._sequences,
            [len(sequence) for sequence in self._sequences],
            {"tags": tags} if self._has_tags else {},
            num_left_out=num_cut,
        )


_Span = tuple[int, int]


def _windows(lengths: Sequence[int], room: int) -> list[tuple[_Span, _Span]]:
    """Return the words that each window over a sentence shows, and those that it is for.

    Both are the numbers of the first word, and of the one after the last. The words that windows
    are for follow each other without a gap; where two windows overlap, each is for one half of the
    overlap.

    Args:
        lengths: Tokens of each word, 1 to `room`.
        room: Most tokens of a window.
    """
    begins = np.concatenate([[0], np.cumsum(lengths)])
    shown: list[_Span] = []
    start = 0
    while not shown or shown[-1][1] < len(lengths):
        end = int(np.searchsorted(begins, begins[start] + room, side="right")) - 1
        shown.append((start, end))
        if end < len(lengths):
            start = int(np.searchsorted(begins, begins[end] - room // _OVERLAP))
            if begins[end + 1] - begins[start] > room:  # the next word leaves no room to overlap
                start = end
    parts = [0, *((earlier[1] + later[0] + 1) // 2 for earlier, later in itertools.pairwise(shown))]
    return list(zip(shown, zip(parts, [*parts[1:], len(lengths)], strict=True), strict=True))


def pad_tags(features: Features, indices: np.ndarray, length: int) -> np.ndarray:
    """Return the targets of a batch, int32 [B, S]: tags, and `NO_TAG` also for padding.

    Args:
        features: All features, with the target `tags`.
        indices: Indices of the sequences in the batch [B].
        length: Length S of the batch, no less than its longest sequence.
    """
    tags_BS = np.full((len(indices), length), NO_TAG, np.int32)
    for row, index in enumerate(indices):
        begin, end = features.begins[index : index + 2]
        tags_BS[row, : end - begin] = features.targets["tags"][begin:end]
    return tags_BS
