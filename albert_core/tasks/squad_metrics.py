"""Metrics of predicted answers: SQuAD's official ones, and CMRC 2018's for Chinese.

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
    """Return an answer in lower case, without ASCII punctuation, a, an, the, and extra white space.

    Source: `normalize_answer` of SQuAD's evaluation script.
    """
    text = text.lower().translate(_WITHOUT_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def exact_match(prediction: str, answer: str) -> float:
    """Return 1 if both are the same after normalisation, else 0."""
    return float(normalize_answer(prediction) == normalize_answer(answer))


def word_f1(prediction: str, answer: str) -> float:
    """Return the F1 of the words of both, as bags of words after normalisation."""
    predicted, expected = (normalize_answer(text).split() for text in (prediction, answer))
    num_common = sum((collections.Counter(predicted) & collections.Counter(expected)).values())
    return _f1(num_common, len(predicted), len(expected))


def cmrc_exact_match(prediction: str, answer: str) -> float:
    """Return 1 if both are the same without case and Chinese punctuation, else 0."""
    return float(_without_chinese_punctuation(prediction) == _without_chinese_punctuation(answer))


def cmrc_f1(prediction: str, answer: str) -> float:
    """Return the F1 of the longest common run, counted in Chinese characters and other words.

    Deviates from cmrc2018_evaluate.py: words of other scripts are cut at white space, not by NLTK.
    """
    predicted, expected = (
        _CHINESE_UNIT.findall(_without_chinese_punctuation(text)) for text in (prediction, answer)
    )
    return _f1(_longest_common_run(predicted, expected), len(predicted), len(expected))


def _f1(num_common: int, num_predicted: int, num_expected: int) -> float:
    if num_common == 0:
        return 0.0
    precision, recall = num_common / num_predicted, num_common / num_expected
    return 2 * precision * recall / (precision + recall)


def _without_chinese_punctuation(text: str) -> str:
    return "".join(c for c in text.lower().strip() if c not in _CHINESE_PUNCTUATION)


def _longest_common_run(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest run of consecutive items that both sequences contain."""
    # previous[k]: length of the common run that ends just before second[k], of the row above.
    longest, previous = 0, [0] * (len(second) + 1)
    for item in first:
        current = [0] * (len(second) + 1)
        for index, other in enumerate(second):
            if item == other:
                current[index + 1] = previous[index] + 1
        longest, previous = max(longest, *current), current
    return longest


def question_scores(
    score: AnswerScore,
    questions: Sequence[Question],
    predictions: Mapping[str, str],
    *,
    has_unanswerable: bool,
) -> np.ndarray:
    """Return the score of every question [N]: the best over its reference answers.

    Args:
        score: Metric of a prediction and a reference answer.
        questions: The questions.
        predictions: Predicted texts by the questions' ids; a missing one counts as empty.
        has_unanswerable: Whether to score as SQuAD 2.0 does: a reference answer without a word is
            dropped, and a question without references scores 1 for an empty prediction and 0 for
            any other. If not, a question without references scores 0.
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
    """Return the threshold on the null odds that gives the highest mean score.

    A question whose null odds are above the threshold counts as unanswered. Source:
    `find_best_thresh` of evaluate-v2.0.py.

    Args:
        scores: Score of each question's predicted text [N].
        null_odds: How strongly the model prefers no answer to its predicted text [N].
        is_answerable: Whether each question has an answer [N].
        answered: Whether each prediction is not empty [N].

    Returns:
        One of the null odds, the lowest of equally good ones; 0 if no threshold gains anything.
    """
    order, totals = _gains_by_odds(scores, null_odds, is_answerable, answered)
    if not len(totals) or totals.max() <= 0:
        return 0.0
    return float(null_odds[order][np.argmax(totals)])


def answer_threshold(
    scores: np.ndarray, null_odds: np.ndarray, is_answerable: np.ndarray, answered: np.ndarray
) -> float:
    """Return the null odds from which on a question is best left unanswered.

    That is just above what `best_threshold` returns for the same arguments, also without questions
    (just above 0). Where no threshold gains anything it is the lowest null odds, so that all are
    unanswered: the 0 of the official script means the same for probabilities, but answers about
    half where the odds are logits.
    """
    _, totals = _gains_by_odds(scores, null_odds, is_answerable, answered)
    if len(totals) and totals.max() <= 0:
        return float(null_odds.min())
    best = best_threshold(scores, null_odds, is_answerable, answered)
    return float(np.nextafter(best, np.inf))  # the question with these odds is answered


def _gains_by_odds(
    scores: np.ndarray, null_odds: np.ndarray, is_answerable: np.ndarray, answered: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of rising null odds [N], and the gain of answering all up to each [N].

    A question with an answer gains its score; one without costs a point if its prediction is not
    empty.
    """
    # Raising the threshold past one question after the other answers them in this order; each
    # gains its score, or costs a point if it has no answer. Stable, so that ties end up as there.
    order = np.argsort(null_odds, kind="stable")
    gains = np.where(is_answerable, scores, np.where(answered, -1.0, 0.0))[order]
    return order, np.cumsum(gains)
