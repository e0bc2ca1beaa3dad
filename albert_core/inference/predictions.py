"""What models answer, as plain values; probabilities and scores are not rounded."""

import dataclasses
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictedLabel:
    """The likeliest class of a text or a pair.

    Attributes:
        label: Its name.
        probability: Its probability.
        probabilities: The probability of every class by its name.
        is_truncated: Whether the end of a text was left out, as the model reads no more.
    """

    label: str
    probability: float
    probabilities: Mapping[str, float]
    is_truncated: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictedLabels:
    """The labels that apply to a text or a pair: none, one or several.

    Attributes:
        labels: Names of those that are more likely to apply than not, the likeliest first.
        probabilities: The probability of every label by its name, each by itself: they do not sum
            to 1.
        is_truncated: Whether the end of a text was left out, as the model reads no more.
    """

    labels: Sequence[str]
    probabilities: Mapping[str, float]
    is_truncated: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictedScore:
    """The score of a text or a pair, from a regression.

    Attributes:
        score: The score, on the scale of the labels in training.
        is_truncated: Whether the end of a text was left out, as the model reads no more.
    """

    score: float
    is_truncated: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictedChoice:
    """The likeliest of several choices.

    Attributes:
        choice: Its number, from 0.
        probability: Its probability.
        probabilities: The probability of every choice, in their order.
        is_truncated: Whether a text or a choice was cut, as the model reads no more.
    """

    choice: int
    probability: float
    probabilities: Sequence[float]
    is_truncated: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnswerSpan:
    """A part of a context that may be the answer to a question.

    Attributes:
        text: The part, without white space around it.
        start: Number of its first character in the context, from 0.
        probability: Its probability among the candidates of the question that are kept.
        start_log_prob: Log probability of its start; a logit where every question has an answer.
        end_log_prob: Log probability, or logit, of its end.
    """

    text: str
    start: int
    probability: float
    start_log_prob: float
    end_log_prob: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictedAnswer:
    """The answer to a question about a context.

    Attributes:
        answer: The answer; empty if there is none, also for a model whose questions all have one
            where no part of the context can be it.
        start: Number of its first character in the context, from 0; None if there is none.
        probability: Probability of the best candidate, also where the null odds are too high for
            it to be given; 0 without candidates.
        null_odds: Logit of there being no answer; None where every question has one.
        null_threshold: Null odds from which on no answer is given; None where it always is.
        candidates: The best candidates, the best first; `finetuning.questions.n_best_size` at most.
            They are there also where the null odds are too high; none where no part can be it.
        is_truncated: Whether the end of the question was left out; contexts never are.
    """

    answer: str
    start: int | None
    probability: float
    null_odds: float | None
    null_threshold: float | None
    candidates: Sequence[AnswerSpan]
    is_truncated: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictedToken:
    """A token that may stand in place of a mask.

    Attributes:
        token: The token as the vocabulary has it.
        text: What it stands for in a text, without white space around it.
        probability: Its probability among the whole vocabulary.
    """

    token: str
    text: str
    probability: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class FilledText:
    """The likeliest tokens for the masks of a text.

    Attributes:
        filled: The text with the likeliest token in place of every mask.
        masks: The likeliest tokens for each mask, in the order of the masks; the likeliest first.
    """

    filled: str
    masks: Sequence[Sequence[PredictedToken]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaggedWord:
    """A word of a text and its tag.

    Attributes:
        word: The word.
        label: Its likeliest tag.
        start: Number of its first character in the text, from 0.
        end: Number of the character after its last.
        probability: Probability of the tag.
    """

    word: str
    label: str
    start: int
    end: int
    probability: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaggedEntity:
    """An entity in a text.

    Attributes:
        text: Its part of the text.
        label: Its type, such as `PER` of the tags `B-PER` and `I-PER`.
        start: Number of its first character in the text, from 0.
        end: Number of the character after its last.
        probability: Mean probability of the tags of its words.
    """

    text: str
    label: str
    start: int
    end: int
    probability: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictedTags:
    """The tags of a text's words, and the entities that they make.

    Attributes:
        words: The words in their order. If an example is a list of words, places are positions in
            the text of the words joined by spaces.
        entities: The entities in their order; none where tags do not say where entities are.
        is_truncated: Whether a word was cut, as it has more tokens than the model reads; long texts
            never are.
    """

    words: Sequence[TaggedWord]
    entities: Sequence[TaggedEntity]
    is_truncated: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class InvalidExample:
    """Why an example has no prediction, while others of its batch have.

    Attributes:
        what: The part of the example that is wrong, such as `text`.
        got: What it is.
        expected: What it should be.
    """

    what: str
    got: str
    expected: str


Prediction = (
    PredictedLabel
    | PredictedLabels
    | PredictedScore
    | PredictedChoice
    | PredictedAnswer
    | PredictedTags
    | FilledText
)
