"""Logits of sequences to answers of questions.

Source: accumulate_predictions_v1 and write_predictions_v1 of the original's squad_utils.py, and v2.

Shape suffixes: W windows, S sequence, K starts, L ends of each.
"""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from albert_core.finetuning.question_features import Window
from albert_core.tasks import Question

_NO_ANSWER_LOG_PROB = -1e6
_UNSEEN_NULL_ODDS = 1e6


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate:
    """A possible answer: its text, and how likely its start and its end are."""

    text: str
    start_log_prob: float
    end_log_prob: float

    @property
    def score(self) -> float:
        """What candidates are ranked by."""
        return self.start_log_prob + self.end_log_prob


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answers:
    """What was found for each question, by its id.

    Attributes:
        candidates: The best answers, the best first; one at least.
        null_odds: How much no answer is preferred; none where every question has one.
    """

    candidates: Mapping[str, Sequence[Candidate]]
    null_odds: Mapping[str, float]

    def best(self, threshold: float | None = None) -> dict[str, str]:
        """Return the best answer of each question.

        Args:
            threshold: Null odds from which on no answer is given; None: never.
        """
        return {
            key: ""
            if threshold is not None and self.null_odds[key] >= threshold
            else candidates[0].text
            for key, candidates in self.candidates.items()
        }

    def n_best(self) -> dict[str, list[dict[str, Any]]]:
        """Return all candidates with their probabilities, as the original writes them."""
        return {
            key: [
                {
                    "text": candidate.text,
                    "probability": float(probability),
                    "start_log_prob": candidate.start_log_prob,
                    "end_log_prob": candidate.end_log_prob,
                }
                for candidate, probability in zip(own, _probabilities(own), strict=True)
            ]
            for key, own in self.candidates.items()
        }


def find_answers(
    questions: Sequence[Question],
    windows: Sequence[Window],
    outputs: Mapping[str, Sequence[np.ndarray]],
    *,
    n_best_size: int,
    max_answer_length: int,
) -> Answers:
    """Return the answers of questions that all have one, from independent starts and ends.

    Args:
        questions: The questions.
        windows: What the model was shown, W.
        outputs: `start_logits` and `end_logits` [W, S].
        n_best_size: Starts and ends that are paired in a window, and candidates kept.
        max_answer_length: Longest answer in pieces.
    """
    pairs = (
        _paired(starts_S.astype(float), ends_S.astype(float), n_best_size)
        for starts_S, ends_S in zip(outputs["start_logits"], outputs["end_logits"], strict=True)
    )
    nothing = Candidate(text="empty", start_log_prob=0.0, end_log_prob=0.0)
    ranked = _ranked(questions, windows, pairs, n_best_size, max_answer_length, nothing)
    return Answers(candidates=ranked, null_odds={})


def find_answers_or_none(
    questions: Sequence[Question],
    windows: Sequence[Window],
    outputs: Mapping[str, Sequence[np.ndarray]],
    *,
    n_best_size: int,
    max_answer_length: int,
) -> Answers:
    """Return answers and null odds of questions that may have none, from a search for both ends.

    Args:
        questions: The questions.
        windows: What the model was shown, W.
        outputs: `start_top_log_probs`, `start_top_index` [W, K], `end_top_log_probs`,
            `end_top_index` [W, K*L] and `cls_logits` [W].
        n_best_size: Candidates kept.
        max_answer_length: Longest answer in pieces.
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
        null_odds[key] = min(null_odds[key], float(cls_logit))
    nothing = Candidate(
        text="", start_log_prob=_NO_ANSWER_LOG_PROB, end_log_prob=_NO_ANSWER_LOG_PROB
    )
    ranked = _ranked(questions, windows, pairs, n_best_size, max_answer_length, nothing)
    return Answers(candidates=ranked, null_odds=null_odds)


# Of each pair of positions its start and end, and their log probabilities or logits.
_Pairs = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _paired(starts_S: np.ndarray, ends_S: np.ndarray, count: int) -> _Pairs:
    """Return all pairs of the best starts with the best ends."""
    starts = np.argsort(-starts_S, kind="stable")[:count]
    ends = np.argsort(-ends_S, kind="stable")[:count]
    start, end = np.repeat(starts, len(ends)), np.tile(ends, len(starts))
    return start, end, starts_S[start], ends_S[end]


def _allowed(window: Window, pairs: _Pairs, max_length: int) -> _Pairs:
    """Return the pairs that can be an answer."""
    start, end = pairs[:2]
    is_shown = (window.offset <= start) & (start <= end) & (end < window.offset + window.length)
    within = np.clip(start - window.offset, 0, window.length - 1)
    chosen = is_shown & (end - start < max_length) & window.is_max_context[within]
    return tuple(values[chosen] for values in pairs)


def _ranked(
    questions: Sequence[Question],
    windows: Sequence[Window],
    pairs: Iterable[_Pairs],
    n_best_size: int,
    max_length: int,
    nothing: Candidate,
) -> dict[str, list[Candidate]]:
    """Return the best candidates of each question, no text twice."""
    found: dict[int, list[tuple[Window, _Pairs]]] = collections.defaultdict(list)
    for window, own in zip(windows, pairs, strict=True):
        found[window.question].append((window, _allowed(window, own, max_length)))
    return {
        question.id: _best_candidates(found[number], n_best_size) or [nothing]
        for number, question in enumerate(questions)
    }


def _best_candidates(found: Sequence[tuple[Window, _Pairs]], n_best_size: int) -> list[Candidate]:
    if not found:
        return []
    owners = np.repeat(np.arange(len(found)), [len(pairs[0]) for _, pairs in found])
    start, end, start_log_prob, end_log_prob = (
        np.concatenate(columns) for columns in zip(*(pairs for _, pairs in found), strict=True)
    )
    best: dict[str, Candidate] = {}
    for index in np.argsort(-(start_log_prob + end_log_prob), kind="stable"):
        if len(best) >= n_best_size:
            break
        text = found[owners[index]][0].answer(start[index], end[index])
        candidate = Candidate(
            text=text,
            start_log_prob=float(start_log_prob[index]),
            end_log_prob=float(end_log_prob[index]),
        )
        best.setdefault(text, candidate)
    return list(best.values())


def _probabilities(candidates: Sequence[Candidate]) -> np.ndarray:
    scores = np.array([candidate.score for candidate in candidates])
    odds = np.exp(scores - scores.max())
    return odds / odds.sum()
