"""Convert examples as people write them to those that features are made from."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from albert_core.errors import InputError
from albert_core.inference.signature import TaskSignature
from albert_core.inference.words import Bounds, join_words, split_words
from albert_core.settings.json_values import has_lone_surrogate
from albert_core.tasks import Example, Question, TaggedSentence
from albert_core.tasks.race_file import fill_blank
from albert_core.tokenization.masked import MASK

_SHOWN_CONTENTS = {"texts": "a list of two or more texts"}


def list_examples(examples: Iterable[Any], name: str = "examples") -> list[Any]:
    """Return examples as a list, in the order in which they come.

    Args:
        examples: A list of examples or anything else that yields them: a tuple, a generator, an
            array, a column of a table.
        name: What they are called in the message.

    Raises:
        InputError: It is a single text or mapping, or a table, which would be taken apart into
            characters or names; or it yields nothing.
    """
    is_single = isinstance(examples, str | bytes | Mapping)
    has_one_axis = getattr(examples, "ndim", 1) == 1
    if is_single or not has_one_axis or not isinstance(examples, Iterable):
        raise InputError(
            f"{name}: got {type(examples).__name__}, expected a list of {name}; of a single one, a "
            "list with it"
        )
    return list(examples)


def to_text_example(value: Any, number: int, signature: TaskSignature) -> Example:
    """Return an example of a classification, a regression or a multiple choice, without a target.

    A `text_b` that is empty or None is left out where an example may have one text or two; where it
    always has two, an empty one is read as in evaluation. With a question, as in RACE, each choice
    becomes the question with the choice in its blank, or after it.

    Args:
        value: A text; a pair of texts; for multiple choice a text and a list of choices, or a text,
            a question and such a list; a mapping of these by the names of `example_fields`; or an
            `Example`, whose texts are taken unchecked and whose id and target are dropped.
        number: Its number, which becomes its id.
        signature: What the model is asked.

    Raises:
        InputError: It is not one of these, or has fields that the model does not read.
    """
    if isinstance(value, Example):
        return Example(id=str(number), texts=value.texts, target=None)
    fields = _fields(value, number, signature)
    if "choices" not in fields:
        second = fields.get("text_b") or ""
        has_second = bool(second) or signature.num_texts == 2
        texts = (fields["text"], second) if has_second else (fields["text"],)
    else:
        choices = fields["choices"]
        if question := fields.get("question"):
            choices = [fill_blank(question, choice) for choice in choices]
        texts = (fields["text"], *choices)
    return Example(id=str(number), texts=texts, target=None)


def to_question(value: Any, number: int, signature: TaskSignature) -> Question:
    """Return a question about a context, without answers.

    Args:
        value: A pair, the question first, then the context; a mapping of `question` and `context`;
            or a `Question`, whose texts are taken unchecked and whose id and answers are dropped.
        number: Its number, which becomes its id.
        signature: What the model is asked.

    Raises:
        InputError: It is not one of these.
    """
    if isinstance(value, Question):
        fields: Mapping[str, Any] = {"question": value.question, "context": value.context}
    else:
        fields = _fields(value, number, signature)
    return Question(id=str(number), question=fields["question"], context=fields["context"])


@dataclasses.dataclass(frozen=True)
class SplitText:
    """A text and its words.

    Attributes:
        text: The text.
        words: Its words; none of a text of white space. Given words may be blank.
        bounds: Numbers of each word's first character in the text and of the one after its last.
    """

    text: str
    words: tuple[str, ...]
    bounds: Sequence[Bounds]


def to_split_text(value: Any, number: int, signature: TaskSignature) -> SplitText:
    """Return a text with its words: split by `split_words`, or as they are given.

    Args:
        value: A text, or a sequence of words; a mapping with either as `text`; or a
            `TaggedSentence`, whose id and tags are dropped.
        number: Its number, for messages.
        signature: What the model is asked.

    Raises:
        InputError: It is not one of these.
    """
    content: Any
    if isinstance(value, TaggedSentence):
        content = value.words
    elif isinstance(value, Mapping):
        content = _fields(value, number, signature)["text"]
    else:
        content = _fields({"text": value}, number, signature)["text"]
    if isinstance(content, str):
        bounds = split_words(content)
        return SplitText(content, tuple(content[begin:end] for begin, end in bounds), bounds)
    text, bounds = join_words(content)
    return SplitText(text, tuple(content), bounds)


def to_text(value: Any, number: int, signature: TaskSignature) -> str:
    """Return a text, given as it is, as a mapping with `text`, or as a sequence of this one text.

    For models that read one text: `text` must be the only field that `signature` has.

    Args:
        value: The example.
        number: Its number, for messages.
        signature: What the model is asked.

    Raises:
        InputError: It is not one of these.
    """
    return _fields(value, number, signature)["text"]


def example_fields(signature: TaskSignature) -> dict[str, str]:
    """Return the fields of an example by name, in the order in which a tuple has them.

    Which there are depends on what the model is asked: question and context; a text with choices,
    and a question in RACE; a text to tag the words of; else one or two texts. Their contents are
    `text`, `optional text`, `texts` for a list, or `text or words` for a text or a list.
    """
    if signature.kind == "question_answering":
        return {"question": "text", "context": "text"}
    if signature.kind == "token_classification":
        return {"text": "text or words"}
    if signature.kind == "multiple_choice":
        question = {"question": "text"} if signature.has_questions else {}
        return {"text": "text", **question, "choices": "texts"}
    second = {1: {}, 2: {"text_b": "text"}, None: {"text_b": "optional text"}}
    return {"text": "text", **second[signature.num_texts]}


def sample_fields(signature: TaskSignature, text: str) -> dict[str, Any]:
    """Return an example, as a mapping, with a text in each field it must have; twice in a list.

    For a model that fills masks the text has one before it.
    """
    values = {"text": text, "texts": [text, text], "text or words": text}
    if signature.kind == "masked_lm":
        values["text"] = f"{MASK} {text}"
    fields = example_fields(signature)
    return {name: values[content] for name, content in fields.items() if content in values}


def _fields(value: Any, number: int, signature: TaskSignature) -> Mapping[str, Any]:
    """Return an example as a mapping, its names and types checked.

    A sequence gives the fields in the order of `example_fields`; anything else that is no mapping
    is the first field. An optional field that is missing becomes None.

    Raises:
        InputError: A field is missing, unknown, of another type or holds half a character, or a
            sequence has too many values; the message lists the fields expected.
    """
    wanted = example_fields(signature)
    if isinstance(value, Mapping):
        fields = dict(value)
    else:
        values = [value] if isinstance(value, str) or not isinstance(value, Sequence) else value
        # Not strict: a missing value is named below by its field.
        fields = dict(zip(wanted, values, strict=False))
        if len(values) > len(wanted):
            raise _refusal(number, f"{len(values)} values", wanted)
    for name, content in wanted.items():
        if name not in fields and content == "optional text":
            fields[name] = None
        if not _fits(fields.get(name), content):
            raise _refusal(number, f"{_describe(fields.get(name))} as {name}", wanted)
        if has_lone_surrogate("".join(fields[name] or "")):
            raise _refusal(number, f"half a character (a lone surrogate) in {name}", wanted)
    if unknown := fields.keys() - wanted.keys():
        raise _refusal(number, ", ".join(sorted(unknown)), wanted)
    return fields


def _fits(value: Any, content: str) -> bool:
    """Return whether a value is of a content of `example_fields`.

    A list of texts has at least two, one of words at least one; an optional text may be None.
    """
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if content == "texts" or (content == "text or words" and is_list):
        fewest = 2 if content == "texts" else 1
        return is_list and len(value) >= fewest and all(isinstance(item, str) for item in value)
    return isinstance(value, str) or (content == "optional text" and value is None)


def _describe(value: Any) -> str:
    """Return the type of a value for messages; of a list or tuple also how many are in it."""
    name = type(value).__name__
    return f"a {name} of {len(value)}" if isinstance(value, list | tuple) else name


def _refusal(number: int, got: str, wanted: Mapping[str, str]) -> InputError:
    fields = ", ".join(
        f"{name} ({_SHOWN_CONTENTS.get(content, content)})" for name, content in wanted.items()
    )
    return InputError(f"examples[{number}]: got {got}, expected {fields}")
