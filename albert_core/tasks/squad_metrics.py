"""Scores of answers: SQuAD's official ones, and those of CMRC 2018 for Chinese.

Source: evaluate-v1.1.py and evaluate-v2.0.py of SQuAD; cmrc2018_evaluate.py.
"""

import collections
import re
import string
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from albert_core.tasks.examples import Question

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
_CHINESE_PUNCTUATION = "-:_*^/\\~`+=，。：？！“”；’《》……·、「」（）－～『』"
_CHINESE_UNIT = re.compile(r"[\u4e00-\u9fa5]|[^\s\u4e00-\u9fa5]+")

AnswerScore = Callable[[str, str], float]


def normalize_answer(text: str) -> str:
    """Return an answer in lower case, without punctuation, articles and extra white space."""
    text = text.lower().translate(_WITHOUT_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def exact_match(prediction: str, answer: str) -> float:
    """Return 1 if both are the same after normalisation, else 0."""
    return float(normalize_answer(prediction) == normalize_answer(answer))


def word_f1(prediction: str, answer: str) -> float:
    """Return the F1 of the words that both have."""
    ours, theirs = (normalize_answer(text).split() for text in (prediction, answer))
    num_same = sum((collections.Counter(ours) & collections.Counter(theirs)).values())
    return _f1(num_same, len(ours), len(theirs))


def cmrc_exact_match(prediction: str, answer: str) -> float:
    """Return 1 if both are the same without case and Chinese punctuation, else 0."""
    return float(_without_chinese_punctuation(prediction) == _without_chinese_punctuation(answer))


def cmrc_f1(prediction: str, answer: str) -> float:
    """Return the F1 of the longest run that both have, in Chinese characters and other words.

    Deviates from cmrc2018_evaluate.py: words of other scripts are cut at white space, not by NLTK.
    """
    ours, theirs = (
        _CHINESE_UNIT.findall(_without_chinese_punctuation(text)) for text in (prediction, answer)
    )
    return _f1(_longest_common_run(ours, theirs), len(ours), len(theirs))


def _f1(num_same: int, num_ours: int, num_theirs: int) -> float:
    if num_same == 0:
        return 0.0
    precision, recall = num_same / num_ours, num_same / num_theirs
    return 2 * precision * recall / (precision + recall)


def _without_chinese_punctuation(text: str) -> str:
    return "".join(c for c in text.lower().strip() if c not in _CHINESE_PUNCTUATION)


def _longest_common_run(ours: Sequence[str], theirs: Sequence[str]) -> int:
    longest, before = 0, [0] * (len(theirs) + 1)
    for own in ours:
        now = [0] * (len(theirs) + 1)
        for index, other in enumerate(theirs):
            if own == other:
                now[index + 1] = before[index] + 1
        longest, before = max(longest, *now), now
    return longest


def question_scores(
    score: AnswerScore,
    questions: Sequence[Question],
    predictions: Mapping[str, str],
    *,
    has_unanswerable: bool,
) -> np.ndarray:
    """Return the score of each question [N]: its best over the answers that people gave.

    Args:
        score: How a prediction is compared with an answer.
        questions: The questions.
        predictions: Answers by the questions' ids; empty where none is given.
        has_unanswerable: Whether to score as SQuAD 2.0 does: answers without a word count as
            none, and a question without answers wants an empty prediction.
    """
    scores = []
    for question in questions:
        prediction = predictions.get(question.id, "")
        answers = [answer.text for answer in question.answers]
        if has_unanswerable:
            answers = list(filter(normalize_answer, answers))
            if not answers:
                scores.append(float(not normalize_answer(prediction)))
                continue
        scores.append(max((score(prediction, answer) for answer in answers), default=0.0))
    return np.array(scores)


def best_threshold(
    scores: np.ndarray, null_odds: np.ndarray, is_answerable: np.ndarray, answered: np.ndarray
) -> float:
    """Return the null odds above which no answer is best given, by the mean score.

    Args:
        scores: Score of each question [N] if its best answer is given.
        null_odds: How much no answer is preferred [N].
        is_answerable: Whether each question has an answer [N].
        answered: Whether each prediction is not empty [N].

    Source: `find_best_thresh` of evaluate-v2.0.py; without gain it is 0.
    """
    order = np.argsort(null_odds, kind="stable")
    gains = np.where(is_answerable, scores, np.where(answered, -1.0, 0.0))[order]
    totals = np.cumsum(gains)
    if not len(totals) or totals.max() <= 0:
        return 0.0
    return float(null_odds[order][np.argmax(totals)])


def scores_at_threshold(
    scores: np.ndarray, null_odds: np.ndarray, is_answerable: np.ndarray, threshold: float
) -> np.ndarray:
    """Return the scores [N] if no answer is given where the null odds are above a threshold."""
    return np.where(null_odds > threshold, (~is_answerable).astype(float), scores)
