"""Search the likeliest answers to questions in the logits of their windows.

Source: accumulate_predictions_v1 and write_predictions_v1 of the original's squad_utils.py, and v2.

Shape suffixes: W windows, S sequence, K starts, L ends of each.
"""

import collections
import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from albert_core.finetuning.answers import Answers, SpanCandidate
from albert_core.finetuning.config import QuestionConfig
from albert_core.finetuning.prediction import ExampleOutputs
from albert_core.finetuning.question_features import Window
from albert_core.tasks import Question

# Of a question without a window, or of a head for spans without a candidate, which then counts as
# one without an answer, as in the original.
_UNSEEN_NULL_ODDS = 1e6


def search_answers(
    questions: Sequence[Question],
    windows: Sequence[Window],
    outputs: ExampleOutputs,
    config: QuestionConfig,
    *,
    has_unanswerable: bool,
) -> Answers:
    """Search answers in the outputs of a head.

    Calls `find_answers_or_none` for those of the head of SQuAD 2.0, else `find_answers`.

    Args:
        questions: The questions, with ids that differ.
        windows: What the model was shown, W; without any, no question has candidates, and null odds
            are 1e6.
        outputs: The model's outputs for each window, in their order: those that the called function
            reads. Outputs with independent starts and ends lose their logits of padding here, so
            that an answer does not depend on what else was in the batch; `find_answers_or_none`
            gets the outputs as they are.
        config: How many candidates to keep, and how long they may be.
        has_unanswerable: Whether a question may have no answer. With outputs of a head for spans
            alone its null odds are then those of `with_cls_odds`.
    """
    if not windows:
        null_odds = {question.id: _UNSEEN_NULL_ODDS for question in questions}
        return Answers(
            candidates={question.id: [] for question in questions},
            null_odds=null_odds if has_unanswerable else {},
        )
    sizes = {"n_best_size": config.n_best_size, "max_answer_length": config.max_answer_length}
    if has_unanswerable and "start_logits" not in outputs:
        return find_answers_or_none(questions, windows, outputs, **sizes)
    outputs = {
        name: [row[: window.num_tokens] for row, window in zip(rows, windows, strict=True)]
        for name, rows in outputs.items()
    }
    answers = find_answers(questions, windows, outputs, **sizes)
    return with_cls_odds(answers, questions, windows, outputs) if has_unanswerable else answers


def with_cls_odds(
    answers: Answers,
    questions: Sequence[Question],
    windows: Sequence[Window],
    outputs: ExampleOutputs,
) -> Answers:
    """Return answers with null odds by a head for spans, for which [CLS] stands for no answer.

    They are the score of [CLS] as start and end, the lowest of a question's windows, less that of
    its best candidate; 1e6 without candidates. The rule is that of BERT's run_squad.py for SQuAD
    2.0.

    Args:
        answers: What `find_answers` returned.
        questions: The questions.
        windows: What the model was shown, W.
        outputs: `start_logits` and `end_logits`, W rows of [S].
    """
    cls_scores: dict[str, float] = {}
    scores = zip(windows, outputs["start_logits"], outputs["end_logits"], strict=True)
    for window, starts_S, ends_S in scores:
        key = questions[window.question].id
        score = float(starts_S[0]) + float(ends_S[0])
        cls_scores[key] = min(cls_scores.get(key, score), score)
    null_odds = {
        key: cls_scores[key] - candidates[0].score if candidates else _UNSEEN_NULL_ODDS
        for key, candidates in answers.candidates.items()
    }
    return dataclasses.replace(answers, null_odds=null_odds)


def find_answers(
    questions: Sequence[Question],
    windows: Sequence[Window],
    outputs: ExampleOutputs,
    *,
    n_best_size: int,
    max_answer_length: int,
) -> Answers:
    """Return the answers of questions that all have one, from independent starts and ends.

    A candidate is a span that its window shows whole, and that begins at a token whose most context
    is in that window (`Window.is_max_context`). The candidates of a question have different texts,
    and are sorted by the sum of the logits of start and end, the best first. A question without
    such a span, or without windows, has none. There are no null odds.

    Args:
        questions: The questions, with ids that differ.
        windows: What the model was shown, W, at least one.
        outputs: `start_logits` and `end_logits`, W rows of [S], in the order of the windows; S may
            differ between rows.
        n_best_size: Number of the best starts, and of the best ends, that are paired in each
            window; and most candidates of a question.
        max_answer_length: Longest answer in tokens.
    """
    # In float64, in which the original adds logits: sums in float32 would tie more often.
    pairs = (
        _pair_best(starts_S.astype(float), ends_S.astype(float), n_best_size)
        for starts_S, ends_S in zip(outputs["start_logits"], outputs["end_logits"], strict=True)
    )
    ranked = _rank_candidates(questions, windows, pairs, n_best_size, max_answer_length)
    return Answers(candidates=ranked, null_odds={})


def find_answers_or_none(
    questions: Sequence[Question],
    windows: Sequence[Window],
    outputs: ExampleOutputs,
    *,
    n_best_size: int,
    max_answer_length: int,
) -> Answers:
    """Return answers and null odds of questions that may have none, from a beam search's outputs.

    A candidate is a span that the beam search found, that its window shows whole, and that begins
    at a token whose most context is in that window (`Window.is_max_context`). The candidates of a
    question have different texts, and are sorted by the sum of the log probabilities of start and
    end, the best first. A question without such a span, or without windows, has none.

    Args:
        questions: The questions, with ids that differ.
        windows: What the model was shown, W, at least one.
        outputs: W rows each, in the order of the windows: `start_top_log_probs` and
            `start_top_index` [K], the starts that were found; `end_top_log_probs` and
            `end_top_index` [K*L], L ends for each start, start by start; `cls_logits`, one number.
        n_best_size: Most candidates of a question.
        max_answer_length: Longest answer in tokens.

    Returns:
        The candidates, and the null odds of each question: the smallest `cls_logits` of its
        windows, but never above 1e6; 1e6 without windows.
    """
    starts_WK, start_log_probs_WK, ends_WE, end_log_probs_WE = (
        np.stack(outputs[name])
        for name in ("start_top_index", "start_top_log_probs", "end_top_index", "end_top_log_probs")
    )
    num_ends = ends_WE.shape[1] // starts_WK.shape[1]
    pairs = zip(
        np.repeat(starts_WK, num_ends, axis=1),
        ends_WE,
        np.repeat(start_log_probs_WK.astype(float), num_ends, axis=1),
        end_log_probs_WE.astype(float),
        strict=True,
    )
    null_odds = {question.id: _UNSEEN_NULL_ODDS for question in questions}
    for window, cls_logit in zip(windows, outputs["cls_logits"], strict=True):
        key = questions[window.question].id
        # The smallest: an answer seen in one window is not refuted by those that do not show it.
        null_odds[key] = min(null_odds[key], float(cls_logit))
    ranked = _rank_candidates(questions, windows, pairs, n_best_size, max_answer_length)
    return Answers(candidates=ranked, null_odds=null_odds)


# Of each pair of positions its start and end, and their log probabilities or logits.
_Pairs = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _pair_best(starts_S: np.ndarray, ends_S: np.ndarray, count: int) -> _Pairs:
    """Return all pairs of the `count` best starts with the `count` best ends, of one window.

    The best start comes first with all ends, the best end first; none is refused for its length.
    """
    # Stable: of equal logits the earlier position comes first, as by the original's `sorted`.
    starts = np.argsort(-starts_S, kind="stable")[:count]
    ends = np.argsort(-ends_S, kind="stable")[:count]
    start, end = np.repeat(starts, len(ends)), np.tile(ends, len(starts))
    return start, end, starts_S[start], ends_S[end]


def _allowed_pairs(window: Window, pairs: _Pairs, max_length: int) -> _Pairs:
    """Return the pairs that can be an answer, in their order.

    Their start is not after their end; start and end are in the part of the context that the window
    shows; they have at most `max_length` tokens; and the most context around the start is in this
    window (`Window.is_max_context`).
    """
    start, end = pairs[:2]
    is_shown = (window.offset <= start) & (start <= end) & (end < window.offset + window.length)
    within = np.clip(start - window.offset, 0, window.length - 1)
    chosen = is_shown & (end - start < max_length) & window.is_max_context[within]
    return tuple(values[chosen] for values in pairs)


def _rank_candidates(
    questions: Sequence[Question],
    windows: Sequence[Window],
    pairs: Iterable[_Pairs],
    n_best_size: int,
    max_length: int,
) -> dict[str, list[SpanCandidate]]:
    """Return the best candidates of each question by its id, no text twice.

    Args:
        questions: The questions.
        windows: Windows over their contexts, in any order.
        pairs: Starts and ends in each window, in the order of the windows; those that cannot be an
            answer are dropped here.
        n_best_size: Most candidates of a question.
        max_length: Longest answer in tokens.
    """
    spans: dict[int, list[tuple[Window, _Pairs]]] = collections.defaultdict(list)
    for window, window_pairs in zip(windows, pairs, strict=True):
        spans[window.question].append((window, _allowed_pairs(window, window_pairs, max_length)))
    return {
        question.id: _best_candidates(spans[number], n_best_size)
        for number, question in enumerate(questions)
    }


def _best_candidates(
    spans: Sequence[tuple[Window, _Pairs]], n_best_size: int
) -> list[SpanCandidate]:
    """Return at most `n_best_size` candidates with different texts, the best score first.

    Empty without windows or pairs.

    Args:
        spans: Each window of one question, with the pairs in it that can be an answer.
        n_best_size: Most candidates. Only the best of the pairs with the same text counts; of equal
            scores, the one from the earlier window comes first.
    """
    if not spans:
        return []
    window_of_pair = np.repeat(np.arange(len(spans)), [len(pairs[0]) for _, pairs in spans])
    start, end, start_log_prob, end_log_prob = (
        np.concatenate(columns) for columns in zip(*(pairs for _, pairs in spans), strict=True)
    )
    best: dict[str, SpanCandidate] = {}
    for index in np.argsort(-(start_log_prob + end_log_prob), kind="stable"):
        if len(best) >= n_best_size:
            break
        text, first_character = spans[window_of_pair[index]][0].answer(start[index], end[index])
        candidate = SpanCandidate(
            text=text,
            start=first_character,
            start_log_prob=float(start_log_prob[index]),
            end_log_prob=float(end_log_prob[index]),
        )
        best.setdefault(text, candidate)
    return list(best.values())
