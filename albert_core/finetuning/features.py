"""Encode examples as sequences of tokens, kept one after the other in flat arrays.

Shape suffixes: T tokens of all sequences, N sequences, M examples.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from albert_core.errors import InputError
from albert_core.tasks import Example
from albert_core.tokenization import SpecialIds, Tokenizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Features:
    """Sequences of different lengths and their targets; not padded, nor in batches.

    Attributes:
        ids: Token ids of all sequences, special tokens included, int32 [T].
        begins: Where each sequence begins in `ids`, and the end, int64 [N + 1].
        second_starts: Position in each sequence at which segment 1 begins; its length if there is
            none, int32 [N].
        targets: Arrays by name, [M] or for multi-label tasks [M, C], for the tags of words a value
            for each token [T]; empty if any example has no target.
        group_size: Sequences of an example, N / M: the number of its choices, 2 for texts that are
            encoded separately, else 1; they lie one after the other.
        num_left_out: Number of examples from which no sequence could be made; for words with tags,
            the number of tokens that are cut off words longer than a sequence.
        whole_lengths: Number of tokens that each sequence would have without limits, int32 [N]. For
            questions and for words with tags, of which a long text becomes several sequences, that
            is the number it has.
    """

    ids: np.ndarray
    begins: np.ndarray
    second_starts: np.ndarray
    whole_lengths: np.ndarray
    targets: Mapping[str, np.ndarray]
    group_size: int = 1
    num_left_out: int = 0

    @classmethod
    def from_sequences(
        cls,
        sequences: Sequence[np.ndarray | list[int]],
        second_starts: Sequence[int],
        targets: Mapping[str, np.ndarray],
        group_size: int = 1,
        num_left_out: int = 0,
        whole_lengths: Sequence[int] | None = None,
    ) -> "Features":
        """Return features from sequences of ids, which are copied one after the other.

        Args:
            sequences: The token ids of each sequence [N], special tokens included.
            second_starts: As the attribute.
            targets: As the attribute.
            group_size: As the attribute; N is a multiple of it (not checked).
            num_left_out: As the attribute.
            whole_lengths: As the attribute; None: the lengths of `sequences`.
        """
        lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
        arrays = [np.asarray(sequence, np.int32) for sequence in sequences]
        return cls(
            # An empty array first: without any sequence there would be nothing to concatenate.
            ids=np.concatenate([np.zeros(0, np.int32), *arrays]),
            begins=np.concatenate([[0], np.cumsum(lengths)]),
            second_starts=np.asarray(second_starts, np.int32),
            whole_lengths=np.asarray(lengths if whole_lengths is None else whole_lengths, np.int32),
            targets=targets,
            group_size=group_size,
            num_left_out=num_left_out,
        )

    def __len__(self) -> int:
        return (len(self.begins) - 1) // self.group_size

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens of the longest sequence of each example [M]."""
        return np.diff(self.begins).reshape(-1, self.group_size).max(axis=1, initial=0)

    @property
    def are_truncated(self) -> np.ndarray:
        """Whether any sequence of each example has lost tokens to a limit, bool [M]."""
        is_shorter = np.diff(self.begins) < self.whole_lengths
        return np.logical_or.reduce(is_shorter.reshape(-1, self.group_size), axis=1)


def make_features(
    examples: Sequence[Example],
    tokenizer: Tokenizer,
    sequence_length: int,
    *,
    max_choice_length: int = 128,
    are_apart: bool = False,
) -> Features:
    """Encode examples: [CLS] A [SEP], [CLS] A [SEP] B [SEP], or such a pair for each choice.

    An example with three or more texts is a text and its choices. With `are_apart` an example is
    two sequences, [CLS] A [SEP] and [CLS] B [SEP]. The result is flat and ragged, not padded
    (`pad_inputs` pads a batch of it). It has the target `target`, float32 [M], or [M, C] for a
    multi-label task, only if every example has one.

    Too long texts are cut: in a pair the longer one loses tokens from its end until both fit; a
    choice keeps its last `max_choice_length` tokens, or `sequence_length` - 4 if that is less, then
    the text before it loses its end. Source: convert_single_example of the original's
    classifier_utils.py and race_utils.py.

    Args:
        examples: Examples with the same number of texts each.
        tokenizer: The tokenizer.
        sequence_length: Longest sequence in tokens, special ones included.
        max_choice_length: Longest choice in tokens, where there are choices.
        are_apart: Whether the two texts of an example are encoded separately; an example with one
            text gets an empty second text.

    Raises:
        InputError: An example has more or fewer texts than the first.
    """
    _refuse_uneven(examples)
    if are_apart:
        return _make_features_apart(examples, tokenizer, sequence_length)
    columns = [
        tokenizer.encode_batch(texts)
        for texts in zip(*(example.texts for example in examples), strict=True)
    ]
    num_choices = len(columns) - 1 if len(columns) > 2 else 1
    sequences, second_starts, whole_lengths = [], [], []
    for texts in zip(*columns, strict=True):
        for pair in _pairs(texts, sequence_length, max_choice_length):
            sequence, second_start = _sequence(pair, tokenizer.special_ids)
            sequences.append(sequence)
            second_starts.append(second_start)
        whole_lengths += _whole_lengths(texts)
    return Features.from_sequences(
        sequences,
        second_starts,
        _targets(examples),
        group_size=num_choices,
        whole_lengths=whole_lengths,
    )


def _make_features_apart(
    examples: Sequence[Example], tokenizer: Tokenizer, sequence_length: int
) -> Features:
    """Return the features of two sequences for each example: its first and its second text.

    A missing second text is empty. Each text that is too long loses its end.
    """
    texts = [text for example in examples for text in (*example.texts, "")[:2]]
    encoded = tokenizer.encode_batch(texts)
    sequences = [
        _sequence(_cut([ids], sequence_length), tokenizer.special_ids)[0] for ids in encoded
    ]
    return Features.from_sequences(
        sequences,
        [len(sequence) for sequence in sequences],
        _targets(examples),
        group_size=2,
        whole_lengths=[length for ids in encoded for length in _whole_lengths([ids])],
    )


def _targets(examples: Sequence[Example]) -> dict[str, np.ndarray]:
    """Return the targets of examples, float32 [M] or [M, C], by name; none if one of them has none.

    They are [M, C] for a multi-label task, and named `target`.
    """
    values = [example.target for example in examples]
    return {} if None in values else {"target": np.array(values, np.float32)}


def _refuse_uneven(examples: Sequence[Example]) -> None:
    """Refuse examples that have more or fewer texts than the first; none at all pass.

    Raises:
        InputError: An example differs; the message counts its texts as choices.
    """
    for example in examples:
        if len(example.texts) != len(examples[0].texts):
            raise InputError(
                f"example {example.id}: got {len(example.texts) - 1} choices, expected "
                f"{len(examples[0].texts) - 1} as in the first; give every row as many"
            )


def _pairs(
    texts: Sequence[list[int]], sequence_length: int, max_choice_length: int
) -> list[list[list[int]]]:
    """Return the token ids of the one or two texts of each sequence of an example, cut to fit.

    One or two texts make one sequence (`_cut`). If there are more, the first text makes a pair with
    each of the others, its choices: a choice that is too long loses its beginning, then the first
    text loses its end.
    """
    if len(texts) <= 2:
        return [_cut(list(texts), sequence_length)]
    first, *choices = texts
    pairs = []
    for choice in choices:
        # Its end, as in the original: the option is behind the question. One token is left for
        # the text. Neither number may be 0: a slice from -0 is the whole choice.
        end = choice[-min(max_choice_length, sequence_length - 4) :]
        pairs.append([first[: sequence_length - 3 - len(end)], end])
    return pairs


def _whole_lengths(texts: Sequence[list[int]]) -> list[int]:
    """Return the lengths that the sequences of an example (`_pairs`) would have without limits."""
    if len(texts) <= 2:
        return [sum(map(len, texts)) + len(texts) + 1]
    first, *choices = texts
    return [len(first) + len(choice) + 3 for choice in choices]


def _cut(texts: list[list[int]], sequence_length: int) -> list[list[int]]:
    """Return one or two texts, cut at their ends to fit into a sequence with its special tokens.

    Of two texts, the longer one loses tokens until both fit or are equally long; then both lose
    tokens.
    """
    room = sequence_length - len(texts) - 1
    if len(texts) == 1:
        return [texts[0][:room]]
    first, second = texts
    # What the original's loop leaves, which drops one token at a time, of the second on a tie.
    num_second = min(len(second), max(room // 2, room - len(first)))
    return [first[: room - num_second], second[:num_second]]


def _sequence(texts: Sequence[list[int]], special_ids: SpecialIds) -> tuple[list[int], int]:
    """Return a sequence with its special tokens, and the position at which segment 1 begins.

    The position is the sequence's length if there is one text only.
    """
    ids = [special_ids.cls, *texts[0], special_ids.sep]
    second_start = len(ids)
    if len(texts) == 2:
        ids += [*texts[1], special_ids.sep]
    return ids, second_start
