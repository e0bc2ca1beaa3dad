"""Questions and their contexts to sequences: long contexts in windows that overlap.

Source: convert_examples_to_features of the original's squad_utils.py.

Shape suffixes: W windows, S pieces of a window, D pieces of its part of the context.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from albert_core.errors import InputError
from albert_core.finetuning.alignment import AlignedText, Aligner
from albert_core.finetuning.features import Features
from albert_core.tasks import Question
from albert_core.tokenization import Tokenizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Window:
    """The part of a context that a sequence shows.

    Attributes:
        question: Number of the question.
        text: The whole context.
        start: Its first piece that is shown.
        length: Number of pieces shown, D.
        offset: Where they begin in the sequence.
        is_max_context: Whether no other window shows more around each piece, bool [D].
    """

    question: int
    text: AlignedText
    start: int
    length: int
    offset: int
    is_max_context: np.ndarray

    def answer(self, first: int, last: int) -> str:
        """Return the text from one position of the sequence to another, both included."""
        begin = self.text.starts[self.start + first - self.offset]
        end = self.text.ends[self.start + last - self.offset]
        return self.text.text[begin : end + 1].strip()


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuestionFeatures:
    """The sequences of questions.

    Attributes:
        features: The sequences, with the targets `start_positions`, `end_positions` and
            `is_impossible` if answers were asked for; 0, 0, 1 of windows without the answer.
        windows: What each sequence shows.
    """

    features: Features
    windows: list[Window]


def make_question_features(
    questions: Sequence[Question],
    tokenizer: Tokenizer,
    *,
    sequence_length: int,
    doc_stride: int,
    max_query_length: int,
    with_answers: bool,
) -> QuestionFeatures:
    """Return the sequences [CLS] question [SEP] part of the context [SEP].

    Questions whose context does not match its own pieces are left out.

    Args:
        questions: The questions.
        tokenizer: The tokenizer.
        sequence_length: Longest sequence.
        doc_stride: Pieces between the begins of two windows.
        max_query_length: Pieces of a question that are kept.
        with_answers: Whether targets are made, of each question's first answer.

    Raises:
        InputError: A question leaves no room for its context.
    """
    builder = _Builder(tokenizer, sequence_length, doc_stride, with_answers)
    queries = tokenizer.encode_batch([question.question for question in questions])
    contexts = list(dict.fromkeys(question.context for question in questions))
    aligned = dict(zip(contexts, Aligner(tokenizer).align(contexts), strict=True))
    for number, (question, query) in enumerate(zip(questions, queries, strict=True)):
        builder.add(number, question, query[:max_query_length], aligned[question.context])
    return builder.result()


class _Builder:
    """Collects the windows of questions."""

    def __init__(
        self, tokenizer: Tokenizer, sequence_length: int, doc_stride: int, with_answers: bool
    ) -> None:
        self._special_ids = tokenizer.special_ids
        self._sequence_length, self._doc_stride = sequence_length, doc_stride
        self._with_answers = with_answers
        self._windows: list[Window] = []
        self._sequences: list[np.ndarray] = []
        self._targets: list[tuple[int, int, int]] = []
        self._num_unaligned = 0

    def add(
        self, number: int, question: Question, query: list[int], text: AlignedText | None
    ) -> None:
        """Add the windows of a question."""
        if text is None:
            self._num_unaligned += 1
            return
        prefix = np.array([self._special_ids.cls, *query, self._special_ids.sep], np.int32)
        suffix = np.array([self._special_ids.sep], np.int32)
        room = self._sequence_length - len(prefix) - len(suffix)
        if room < 1:
            raise InputError(
                f"finetuning.questions.max_query_length: a question of {len(query)} pieces leaves "
                f"no room for its text in a sequence of {self._sequence_length}; expected at most "
                f"{self._sequence_length - 4}; lower it, or raise finetuning.sequence_length"
            )
        spans = _spans(len(text.ids), room, self._doc_stride)
        answer = self._answer_pieces(question, text) if self._with_answers else None
        for (start, length), is_max_context in zip(spans, _max_contexts(spans), strict=True):
            window = Window(
                question=number,
                text=text,
                start=start,
                length=length,
                offset=len(prefix),
                is_max_context=is_max_context,
            )
            shown = text.ids[start : start + length]
            self._windows.append(window)
            self._sequences.append(np.concatenate([prefix, shown, suffix]))
            self._targets.append(_target(answer, window))

    def _answer_pieces(self, question: Question, text: AlignedText) -> tuple[int, int] | None:
        if question.is_impossible:
            return None
        answer = question.answers[0]
        return text.pieces_of(answer.start, len(answer.text))

    def result(self) -> QuestionFeatures:
        """Return everything added."""
        names = ("start_positions", "end_positions", "is_impossible")
        targets = np.array(self._targets, np.int32).reshape(-1, len(names))
        return QuestionFeatures(
            features=Features.of_sequences(
                self._sequences,
                [window.offset for window in self._windows],
                dict(zip(names, targets.T, strict=True)) if self._with_answers else {},
                num_left_out=self._num_unaligned,
            ),
            windows=self._windows,
        )


def _spans(num_tokens: int, room: int, stride: int) -> list[tuple[int, int]]:
    """Return (start, length) of the windows over a context."""
    spans, start = [], 0
    while start < num_tokens:
        length = min(num_tokens - start, room)
        spans.append((start, length))
        if start + length == num_tokens:
            break
        start += min(length, stride)
    return spans


def _max_contexts(spans: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Return of each window whether it shows most around each piece, bool [D]; ties: the first."""
    if len(spans) == 1:
        return [np.ones(spans[0][1], bool)]
    scores_WP = np.full((len(spans), sum(spans[-1])), -np.inf)
    for own, (start, length) in zip(scores_WP, spans, strict=True):
        positions = np.arange(length)
        own[start : start + length] = np.minimum(positions, positions[::-1]) + 0.01 * length
    best_P = scores_WP.argmax(axis=0)
    return [best_P[start : start + n] == index for index, (start, n) in enumerate(spans)]


def _target(answer: tuple[int, int] | None, window: Window) -> tuple[int, int, int]:
    """Return start, end and whether there is no answer in a window."""
    if answer is None or answer[0] < window.start or answer[1] >= window.start + window.length:
        return 0, 0, 1
    shift = window.offset - window.start
    return answer[0] + shift, answer[1] + shift, 0
