"""Encode questions and their contexts as sequences, long contexts in windows that overlap.

Source: convert_examples_to_features of the original's squad_utils.py.

Shape suffixes: W windows, S tokens of a window, D tokens of its part of the context.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from albert_core.errors import InputError
from albert_core.finetuning.alignment import AlignedText, Aligner
from albert_core.finetuning.features import Features
from albert_core.tasks import Question, Task
from albert_core.tasks.source import Split
from albert_core.tokenization import Tokenizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Window:
    """The part of a context that a sequence shows.

    Attributes:
        question: Number of the question, from 0.
        text: The whole context with its tokens.
        start: Number of the context's first token that is shown, from 0.
        length: Number of tokens shown, D.
        offset: Position in the sequence, from 0, at which the shown tokens begin.
        is_max_context: Whether this window shows the most context around each of its tokens, bool
            [D]; of several windows that show as much around a token, only the first does.
    """

    question: int
    text: AlignedText
    start: int
    length: int
    offset: int
    is_max_context: np.ndarray

    @property
    def num_tokens(self) -> int:
        """Number of tokens of the sequence, with the [SEP] behind the context."""
        return self.offset + self.length + 1

    def answer(self, first: int, last: int) -> tuple[str, int]:
        """Return the text between two positions of the sequence, both included, and its place.

        Both must be of tokens of the context that are shown, in order (not checked).

        Returns:
            The text without white space around it, and the number of its first character in the
            context.
        """
        begin = int(self.text.starts[self.start + first - self.offset])
        end = int(self.text.ends[self.start + last - self.offset])
        text = self.text.text[begin : end + 1]
        return text.strip(), begin + len(text) - len(text.lstrip())


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuestionFeatures:
    """The sequences of questions.

    Attributes:
        features: The sequences, with the targets `start_positions`, `end_positions` and
            `is_impossible` if answers were asked for; 0, 0, 1 of windows without the answer.
        windows: The part of a context in each sequence.
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

    They are in the order of the questions and then of the context. Questions whose context cannot
    be aligned with its tokens have none, and are counted in `num_left_out`.

    Args:
        questions: The questions.
        tokenizer: The tokenizer.
        sequence_length: Longest sequence in tokens.
        doc_stride: Tokens between the begins of two windows.
        max_query_length: Most tokens of a question; the rest is cut off.
        with_answers: Whether to make targets, from each question's first answer. Every question
            must have one then, which stands where it says (not checked), or be impossible.

    Raises:
        InputError: A question is so long that no token of its context fits.
    """
    builder = _Builder(tokenizer, sequence_length, doc_stride, with_answers)
    queries = tokenizer.encode_batch([question.question for question in questions])
    # Each context once: SQuAD asks several questions about one, and aligning is the slow part.
    contexts = list(dict.fromkeys(question.context for question in questions))
    aligned = dict(zip(contexts, Aligner(tokenizer).align(contexts), strict=True))
    for number, (question, query) in enumerate(zip(questions, queries, strict=True)):
        builder.add(number, question, query[:max_query_length], aligned[question.context])
    return builder.result()


def has_aligned_context(questions: Sequence[Question], tokenizer: Tokenizer) -> bool:
    """Return whether the context of any question can be aligned with its tokens.

    Contexts are aligned one by one until one fits, which is mostly the first.
    """
    aligner = Aligner(tokenizer)
    contexts = dict.fromkeys(question.context for question in questions)
    return any(aligner.align([context])[0] is not None for context in contexts)


def unaligned_error(task: Task, split: Split, num_questions: int) -> InputError:
    """Return the error for a split in which no context can be aligned."""
    return InputError(
        f"task {task.name}: got {num_questions:,} questions in the {split} set, and no context of "
        "them matches its tokens, expected text in the vocabulary's script; use a vocabulary made "
        "for it"
    )


def refuse_long_question(question: Question, num_tokens: int, sequence_length: int) -> None:
    """Refuse a question that leaves no token of a sequence for its context.

    Args:
        question: The question, for the message.
        num_tokens: Its tokens that are shown, without special ones.
        sequence_length: Length of the sequence, with its three special tokens.

    Raises:
        InputError: The question leaves no token.
    """
    most = sequence_length - 4
    if num_tokens > most:
        raise InputError(
            f"finetuning.questions.max_query_length: a question of {num_tokens} tokens leaves no "
            f"room for its text in a sequence of {sequence_length} (question {question.id}); "
            f"expected at most {most}; lower it, or raise finetuning.sequence_length"
        )


class _Builder:
    """Collects the windows of questions."""

    def __init__(
        self, tokenizer: Tokenizer, sequence_length: int, doc_stride: int, with_answers: bool
    ) -> None:
        """Begin without windows; `with_answers` tells whether targets are made."""
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
        """Add the windows of a question, each with its target, to those collected.

        Args:
            number: Number of the question.
            question: The question; its first answer becomes the target, if targets are made.
            query: Its token ids, already cut to their most.
            text: Its context with tokens; None if it could not be aligned: then no window is added,
                only the number of questions that could not be aligned grows.

        Raises:
            InputError: The question leaves no room for its context.
        """
        if text is None:
            self._num_unaligned += 1
            return
        prefix = np.array([self._special_ids.cls, *query, self._special_ids.sep], np.int32)
        suffix = np.array([self._special_ids.sep], np.int32)
        refuse_long_question(question, len(query), self._sequence_length)
        room = self._sequence_length - len(prefix) - len(suffix)
        spans = _spans(len(text.ids), room, self._doc_stride)
        answer = self._answer_tokens(question, text) if self._with_answers else None
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

    def _answer_tokens(self, question: Question, text: AlignedText) -> tuple[int, int] | None:
        """Return first and last token of the first answer in its context; None if impossible."""
        if question.is_impossible:
            return None
        answer = question.answers[0]
        return text.span_tokens(answer.start, len(answer.text))

    def result(self) -> QuestionFeatures:
        """Return the windows and the features of all questions added, in their order.

        The features have targets only if they were asked for.
        """
        names = ("start_positions", "end_positions", "is_impossible")
        targets = np.array(self._targets, np.int32).reshape(-1, len(names))
        return QuestionFeatures(
            features=Features.from_sequences(
                self._sequences,
                [window.offset for window in self._windows],
                dict(zip(names, targets.T, strict=True)) if self._with_answers else {},
                num_left_out=self._num_unaligned,
            ),
            windows=self._windows,
        )


def _spans(num_tokens: int, room: int, stride: int) -> list[tuple[int, int]]:
    """Return (first token, length) of the windows over a context of `num_tokens` tokens.

    They begin `stride` tokens apart (or `room`, if that is less) and have `room` tokens, the last
    one those that are left: it ends with the context. Without tokens there is no window.
    """
    spans, start = [], 0
    while start < num_tokens:
        length = min(num_tokens - start, room)
        spans.append((start, length))
        if start + length == num_tokens:
            break
        start += min(length, stride)
    return spans


def _max_contexts(spans: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Return for each window whether it shows the most around each of its tokens, bool [D].

    If several windows show as much, the first one does.
    """
    if len(spans) == 1:
        return [np.ones(spans[0][1], bool)]
    scores_WP = np.full((len(spans), sum(spans[-1])), -np.inf)
    for scores_P, (start, length) in zip(scores_WP, spans, strict=True):
        positions = np.arange(length)
        # The smaller side counts, and a little the length: `_check_is_max_context` of the original.
        scores_P[start : start + length] = np.minimum(positions, positions[::-1]) + 0.01 * length
    best_P = scores_WP.argmax(axis=0)
    return [best_P[start : start + n] == index for index, (start, n) in enumerate(spans)]


def _target(answer: tuple[int, int] | None, window: Window) -> tuple[int, int, int]:
    """Return the answer's first and last position in a window's sequence, and 0.

    0, 0, 1 if there is no answer, or if the window does not show all of it.
    """
    if answer is None or answer[0] < window.start or answer[1] >= window.start + window.length:
        return 0, 0, 1
    shift = window.offset - window.start
    return answer[0] + shift, answer[1] + shift, 0
