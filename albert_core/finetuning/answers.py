"""Answers to questions: candidates, their probabilities, and the odds that there is no answer."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# What the n-best list of a question without candidates holds, whose readers expect an entry.
_NO_CANDIDATE = {"text": "", "probability": 0.0, "start_log_prob": -1e6, "end_log_prob": -1e6}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpanCandidate:
    """A part of the context that may be the answer.

    Attributes:
        text: The part, without white space around it.
        start: Number of its first character in the context, from 0.
        start_log_prob: Log probability of its start, or the logit where all starts and ends are
            independent (SQuAD 1.1).
        end_log_prob: Log probability, or logit, of its end.
    """

    text: str
    start: int
    start_log_prob: float
    end_log_prob: float

    @property
    def score(self) -> float:
        """Sum of both log probabilities, by which candidates are ranked."""
        return self.start_log_prob + self.end_log_prob


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answers:
    """Answers by the id of their question.

    Attributes:
        candidates: The best answers, best first, each text once; empty if no part of the context
            can be an answer.
        null_odds: Logit that the question has no answer, the lowest over all windows. For a head
            that only scores spans it is the score of [CLS], the lowest over all windows, minus the
            score of the best candidate. 1e6 for a question without windows and, with such a head,
            without candidates. Empty for tasks in which every question has an answer.
    """

    candidates: Mapping[str, Sequence[SpanCandidate]]
    null_odds: Mapping[str, float]

    def best(self, threshold: float | None = None) -> dict[str, str]:
        """Return the text of the best candidate of each question, by the question's id.

        It is empty for a question without candidates.

        Args:
            threshold: Questions whose null odds are at least this get an empty answer, too. None:
                no question does. To be given only where questions may have no answer.

        Raises:
            KeyError: A threshold is given, but there are no null odds.
        """
        return {
            key: ""
            if not candidates or (threshold is not None and self.null_odds[key] >= threshold)
            else candidates[0].text
            for key, candidates in self.candidates.items()
        }

    def n_best(self) -> dict[str, list[dict[str, Any]]]:
        """Return all candidates with their probabilities, as in the original's n-best file.

        Deviates from the original: a question without candidates gets an empty text of probability
        0. In the original its probability is 1, and where every question has an answer the text is
        `empty`.

        Returns:
            For each question's id, the best first: `text`, `probability`, `start_log_prob` and
            `end_log_prob` of each candidate. A question's probabilities sum to 1, unless it has no
            candidate.
        """
        return {
            key: [dict(_NO_CANDIDATE)]
            if not candidates
            else [
                {
                    "text": candidate.text,
                    "probability": float(probability),
                    "start_log_prob": candidate.start_log_prob,
                    "end_log_prob": candidate.end_log_prob,
                }
                for candidate, probability in zip(
                    candidates, candidate_probabilities(candidates), strict=True
                )
            ]
            for key, candidates in self.candidates.items()
        }


def candidate_probabilities(candidates: Sequence[SpanCandidate]) -> np.ndarray:
    """Return the softmax of the candidates' scores, in order, float64; empty without candidates."""
    scores = np.array([candidate.score for candidate in candidates])
    odds = np.exp(scores - scores.max(initial=-np.inf))
    return odds / odds.sum()
