"""What requests and answers look like; FastAPI checks the former and describes both."""

from typing import Annotated, Any

import pydantic
from pydantic import AfterValidator, Discriminator, Field, StringConstraints, Tag

from albert_core.inference import LoadedModel
from albert_core.inference.examples import example_fields
from albert_core.inference.masks import DEFAULT_TOP_K
from albert_core.tokenization.masked import MASK
from pipeline.serving.config import ServingConfig
from pipeline.serving.errors import TEXT_TAG, WORDS_TAG

MAX_TOP_K = 20
MAX_CHOICES = 16

Probability = Annotated[float, Field(description="from 0 to 1")]
IsTruncated = Annotated[
    bool, Field(description="whether the end of a text was left out, as the model reads no more")
]


class Strict(pydantic.BaseModel):
    """An object without other fields, whose values must have their types: none is converted."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)


class ClassificationPrediction(Strict):
    """The likeliest label, and how likely each is."""

    label: str
    probability: Probability
    probabilities: dict[str, Probability]
    is_truncated: IsTruncated


class MultiLabelPrediction(Strict):
    """The labels that are more likely to apply than not, and how likely each is by itself."""

    labels: list[str]
    probabilities: dict[str, Probability]
    is_truncated: IsTruncated


class RegressionPrediction(Strict):
    """A score, on the scale of the task's labels."""

    score: float
    is_truncated: IsTruncated


class ChoicePrediction(Strict):
    """The likeliest choice by its number from 0, and how likely each is."""

    choice: int
    probability: Probability
    probabilities: list[Probability]
    is_truncated: IsTruncated


class AnswerCandidate(Strict):
    """A part of the context that may be the answer.

    Probabilities are among all candidates of the question, of which `top_k` are returned.
    """

    text: str
    probability: Probability
    start_log_prob: float
    end_log_prob: float


class AnswerPrediction(Strict):
    """The answer to a question, empty if there is none, and the best candidates in any case.

    Odds and threshold of no answer are null where every question has an answer.
    """

    answer: str
    probability: Annotated[
        Probability, Field(description="of the best candidate; 0 where nothing can be the answer")
    ]
    null_odds: Annotated[
        float | None,
        Field(description="how much no answer is preferred; from the threshold on: none"),
    ]
    null_threshold: float | None
    n_best: list[AnswerCandidate]
    is_truncated: Annotated[
        bool, Field(description="whether the end of the question was left out; contexts never are")
    ]


class WordTag(Strict):
    """A word of the text and its likeliest tag; places count characters from 0."""

    word: str
    label: str
    start: int
    end: Annotated[int, Field(description="of the character after the last")]
    probability: Probability


class FoundEntity(Strict):
    """An entity that tags make; the probability is the mean of its words'."""

    text: str
    label: Annotated[str, Field(description="its type, such as PER of the tag B-PER")]
    start: int
    end: Annotated[int, Field(description="of the character after the last")]
    probability: Probability


class TagsPrediction(Strict):
    """A tag for each word, and the entities that these make, if tags say where entities are."""

    words: list[WordTag]
    entities: list[FoundEntity]
    is_truncated: Annotated[
        bool, Field(description="whether the end of a word was left out; texts never are cut")
    ]


class MaskPiece(Strict):
    """A piece of the vocabulary that may stand in place of a mask."""

    piece: str
    text: str
    probability: Probability


class MaskPrediction(Strict):
    """The likeliest tokens for each mask, and the text with the likeliest of each in its place."""

    filled: str
    masks: list[list[MaskPiece]]


_PREDICTIONS: dict[str, type[Strict]] = {
    "classification": ClassificationPrediction,
    "multi_label": MultiLabelPrediction,
    "regression": RegressionPrediction,
    "multiple_choice": ChoicePrediction,
    "question_answering": AnswerPrediction,
    "token_classification": TagsPrediction,
    "masked_lm": MaskPrediction,
}
_WITH_TOP_K = ("question_answering", "masked_lm")


def get_endpoint(model: LoadedModel) -> str:
    """Return `/fill-mask` for a model that fills masks, else `/predict`: where it answers."""
    return "/fill-mask" if model.signature.kind == "masked_lm" else "/predict"


def request_type(model: LoadedModel, config: ServingConfig) -> type[pydantic.BaseModel]:
    """Return a new type of requests to a model, with the server's limits in it.

    A request has 1 to `max_examples` examples of `example_type`. Questions and texts with masks may
    have `top_k`, 1 to 20, `DEFAULT_TOP_K` if left out; other requests must not.
    """
    examples = limited_list(example_type(model, config), config)
    return pydantic.create_model(
        "Request", __base__=Strict, examples=(examples, ...), **request_settings(model)
    )


def example_type(model: LoadedModel, config: ServingConfig) -> type[Strict]:
    """Return a new type of the examples of a model, with the server's limits in it.

    It has the fields of `example_fields`. It refuses texts and words that are blank or longer than
    `max_text_characters`, lists without a word or with words that are longer when joined by spaces,
    fewer than 2 or more than 16 choices and, for a model that fills masks, a text without a mask.
    """
    text: Any = Annotated[
        str,
        StringConstraints(max_length=config.max_text_characters),
        AfterValidator(_not_blank),
    ]
    if model.signature.kind == "masked_lm":
        text = Annotated[text, AfterValidator(_has_mask)]
    types: dict[str, Any] = {
        "text": (text, ...),
        "optional text": (text | None, None),
        "texts": (Annotated[list[text], Field(min_length=2, max_length=MAX_CHOICES)], ...),
        "text or words": (_text_or_words(text, config), ...),
    }
    fields = {name: types[what] for name, what in example_fields(model.signature).items()}
    return pydantic.create_model("Example", __base__=Strict, **fields)


def _text_or_words(text: Any, config: ServingConfig) -> Any:
    """Return the type of a text, or of one or more words that joined by spaces are no longer.

    A list is checked as words and any other value as a text, so that one error is told, not two.
    The tag of the two is in the error's path.

    Args:
        text: The type of the text and of each word.
        config: Has the limit `max_text_characters`.
    """
    most = config.max_text_characters

    def not_longer(words: list[str]) -> list[str]:
        if len(" ".join(words)) > most:
            raise ValueError(f"words of at most {most} characters with a space between any two")
        return words

    words = Annotated[list[text], Field(min_length=1), AfterValidator(not_longer)]

    def tag(value: Any) -> str:
        return WORDS_TAG if isinstance(value, list) else TEXT_TAG

    # By its type, or an error would be told of both.
    return Annotated[
        Annotated[text, Tag(TEXT_TAG)] | Annotated[words, Tag(WORDS_TAG)], Discriminator(tag)
    ]


def limited_list(example: Any, config: ServingConfig) -> Any:
    """Return the type of a list of 1 to `max_examples` examples of a type."""
    return Annotated[list[example], Field(min_length=1, max_length=config.max_examples)]


def request_settings(model: LoadedModel) -> dict[str, Any]:
    """Return the fields of a request beside its examples, as pydantic's `create_model` takes them.

    They are the arguments of the answer: `top_k`, for questions and masks; else none.
    """
    if model.signature.kind not in _WITH_TOP_K:
        return {}
    return {"top_k": (Annotated[int, Field(ge=1, le=MAX_TOP_K)], DEFAULT_TOP_K)}


def response_type(model: LoadedModel) -> type[pydantic.BaseModel]:
    """Return a new type of a model's answers: `predictions`, one for each example.

    Raises:
        KeyError: The model has no head.
    """
    prediction = _PREDICTIONS[model.signature.kind]
    fields: dict[str, Any] = {"predictions": (list[prediction], ...)}  # type: ignore[valid-type]
    return pydantic.create_model("Response", __base__=Strict, **fields)


def _not_blank(text: str) -> str:
    """Return a text as it is; raise ValueError, with what is expected, if it is blank."""
    if not text.strip():
        raise ValueError("a text that is not empty")
    return text


def _has_mask(text: str) -> str:
    """Return a text as it is; raise ValueError, with what is expected, if no mask is in it."""
    if MASK not in text:
        raise ValueError(f"a text with {MASK} in it")
    return text


class Failure(Strict):
    """What was wrong: the thing, what was got, what was expected."""

    what: str
    got: str
    expected: str


class FailureResponse(Strict):
    """The body of an answer with an error: `error`, which tells what was wrong, got and expected.

    In the `instances` protocol, whose clients expect a text, it is an `InstancesFailure` instead.
    The refusal of a CORS preflight is plain text.
    """

    error: Failure


class Health(Strict):
    """Whether the server answers requests."""

    status: str


class ModelDescription(Strict):
    """The model, and what may be asked; `max_top_k` is null where a request has no `top_k`."""

    name: str
    kind: str
    format: str
    endpoint: str
    fields: dict[str, str]
    labels: list[str]
    has_unanswerable: bool
    sequence_length: int
    max_text_characters: int
    max_examples: int
    max_top_k: int | None


def describe_model(model: LoadedModel, config: ServingConfig) -> ModelDescription:
    """Return a description of a model and of what may be asked, for people and for the form."""
    return ModelDescription(
        name=model.name,
        kind=model.signature.kind,
        format=model.format,
        endpoint=get_endpoint(model),
        fields=example_fields(model.signature),
        labels=list(model.signature.labels),
        has_unanswerable=model.signature.has_unanswerable,
        sequence_length=model.settings.sequence_length,
        max_text_characters=config.max_text_characters,
        max_examples=config.max_examples,
        max_top_k=MAX_TOP_K if model.signature.kind in _WITH_TOP_K else None,
    )
