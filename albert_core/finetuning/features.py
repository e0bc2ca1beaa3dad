"""Examples to sequences of pieces, kept one after the other in flat arrays.

Shape suffixes: T pieces of all sequences, N sequences, M examples.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from albert_core.errors import InputError
from albert_core.tasks import Example
from albert_core.tokenization import SpecialIds, Tokenizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Features:
    """What a model reads, and what it should answer.

    Attributes:
        ids: Piece ids of all sequences, special pieces included, int32 [T].
        begins: Where each sequence begins in `ids`, and the end, int64 [N + 1].
        second_starts: Where segment 1 begins in each sequence; its length if there is none [N].
        targets: Arrays [M] by name; empty where nothing is known.
        group_size: Sequences of an example, N / M: its choices.
        num_left_out: Examples of which no sequence could be made.
    """

    ids: np.ndarray
    begins: np.ndarray
    second_starts: np.ndarray
    targets: Mapping[str, np.ndarray]
    group_size: int = 1
    num_left_out: int = 0

    @classmethod
    def of_sequences(
        cls,
        sequences: Sequence[np.ndarray | list[int]],
        second_starts: Sequence[int],
        targets: Mapping[str, np.ndarray],
        group_size: int = 1,
        num_left_out: int = 0,
    ) -> "Features":
        """Put sequences one after the other."""
        lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
        arrays = [np.asarray(sequence, np.int32) for sequence in sequences]
        return cls(
            ids=np.concatenate([np.zeros(0, np.int32), *arrays]),
            begins=np.concatenate([[0], np.cumsum(lengths)]),
            second_starts=np.asarray(second_starts, np.int32),
            targets=targets,
            group_size=group_size,
            num_left_out=num_left_out,
        )

    def __len__(self) -> int:
        return (len(self.begins) - 1) // self.group_size

    @property
    def lengths(self) -> np.ndarray:
        """Pieces of the longest sequence of each example [M]."""
        return np.diff(self.begins).reshape(-1, self.group_size).max(axis=1, initial=0)


def make_features(
    examples: Sequence[Example],
    tokenizer: Tokenizer,
    sequence_length: int,
    *,
    max_choice_length: int = 128,
) -> Features:
    """Encode examples: [CLS] A [SEP], [CLS] A [SEP] B [SEP], or the latter for each choice.

    Of a pair the longer text loses its end until both fit; of a choice all but its last
    `max_choice_length` pieces go, and then the end of the text before it. Source:
    convert_single_example of the original's classifier_utils.py and of its race_utils.py.

    Args:
        examples: As many texts in each.
        tokenizer: The tokenizer.
        sequence_length: Longest sequence in pieces.
        max_choice_length: Longest choice in pieces, where there are choices.

    Raises:
        InputError: An example has more or fewer choices than the first.
    """
    _refuse_uneven(examples)
    columns = [
        tokenizer.encode_batch(texts)
        for texts in zip(*(example.texts for example in examples), strict=True)
    ]
    num_choices = len(columns) - 1 if len(columns) > 2 else 1
    sequences, second_starts = [], []
    for texts in zip(*columns, strict=True):
        for pair in _pairs(texts, sequence_length, max_choice_length):
            sequence, second_start = _sequence(pair, tokenizer.special_ids)
            sequences.append(sequence)
            second_starts.append(second_start)
    targets = [example.target for example in examples]
    known = {} if None in targets else {"target": np.array(targets, np.float32)}
    return Features.of_sequences(sequences, second_starts, known, group_size=num_choices)


def _refuse_uneven(examples: Sequence[Example]) -> None:
    for example in examples:
        if len(example.texts) != len(examples[0].texts):
            raise InputError(
                f"example {example.id}: got {len(example.texts) - 1} choices, expected "
                f"{len(examples[0].texts) - 1} as in the first; give every row as many"
            )


def _pairs(
    texts: Sequence[list[int]], sequence_length: int, max_choice_length: int
) -> list[list[list[int]]]:
    """Return the one or two texts of each sequence, cut to fit."""
    if len(texts) <= 2:
        return [_cut(list(texts), sequence_length)]
    first, *choices = texts
    pairs = []
    for choice in choices:
        kept = choice[-min(max_choice_length, sequence_length - 4) :]
        pairs.append([first[: sequence_length - 3 - len(kept)], kept])
    return pairs


def _cut(texts: list[list[int]], sequence_length: int) -> list[list[int]]:
    """Return texts without so much of their ends that they fit; the longer one loses first."""
    room = sequence_length - len(texts) - 1
    if len(texts) == 1:
        return [texts[0][:room]]
    first, second = texts
    num_second = min(len(second), max(room // 2, room - len(first)))
    return [first[: room - num_second], second[:num_second]]


def _sequence(texts: Sequence[list[int]], special_ids: SpecialIds) -> tuple[list[int], int]:
    ids = [special_ids.cls, *texts[0], special_ids.sep]
    second_start = len(ids)
    if len(texts) == 2:
        ids += [*texts[1], special_ids.sep]
    return ids, second_start
