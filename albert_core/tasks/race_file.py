"""Read the files of RACE: passages, each with multiple-choice questions."""

from collections.abc import Iterator
from pathlib import Path

from albert_core.errors import InputError
from albert_core.settings.json_values import (
    FieldError,
    JsonObject,
    as_id,
    as_text,
    as_texts,
    parse_json,
)
from albert_core.tasks.examples import UNEVEN_CHOICES, Example, InvalidRows
from albert_core.tasks.source import Source
from albert_core.tasks.text_files import read_text

_LETTERS = "ABCDEFGH"
_BLANK = "_"
_FORMAT = "a passage of RACE: JSON with article, questions, options, answers"


def read_race(source: Source, path: Path, *, invalid_rows: InvalidRows) -> Iterator[Example]:
    """Yield the questions of a file, which is one JSON object or has one on each line.

    By line is a file that has the key "article" several times. The texts of an example are the
    passage, then for every option the question with the option filled in (`fill_blank`). Source:
    `_create_examples` of the original's race_utils.py.

    Args:
        source: The file's declaration.
        path: The file.
        invalid_rows: Collects questions with another number of options than the split's first.

    Raises:
        InputError: The file is missing, not UTF-8, or not of this format; or `invalid_rows` refuses
            a question.
    """
    text = read_text(path)
    # RACE is published both ways; a passage by itself may be spread over several lines.
    is_by_line = text.count('"article"') > 1
    for number, line in enumerate(text.split("\n") if is_by_line else [text], start=1):
        place = f"{path}, line {number}" if is_by_line else str(path)
        if line.strip():
            passage = parse_json(line, place, expected=_FORMAT)
            try:
                name = f"{path.name}-{number}" if is_by_line else path.name
                yield from _examples(JsonObject.of(passage, place), source, name, invalid_rows)
            except FieldError as error:
                raise InputError(f"{error}; expected {_FORMAT}") from error


def _examples(
    passage: JsonObject, source: Source, name: str, invalid_rows: InvalidRows
) -> Iterator[Example]:
    """Yield an example for each question of a passage, in order.

    Its id is source/passage-number, from 0. The passage's id is the one that it has, or `name`.

    Raises:
        FieldError: A field is missing or of another type, there are not as many options and answers
            as questions, fewer than two options, or an answer is no letter of an option.
        InputError: A question has another number of options than the first, and `invalid_rows`
            refuses it; otherwise such a question is counted and left out.
    """
    article = passage.text("article")
    passage_id = as_id(passage.values.get("id", name), f"{passage.place}: id")
    questions, options, answers = (
        passage.texts("questions"),
        passage.items("options"),
        passage.items("answers"),
    )
    if not len(questions) == len(options) == len(answers):
        raise FieldError(
            f"{passage.place}: got {len(questions)} questions, {len(options)} options and "
            f"{len(answers)} answers, expected as many of each"
        )
    for index, question in enumerate(questions):
        values = as_texts(options[index], f"{passage.place}: options[{index}]")
        if len(values) < 2:
            raise FieldError(
                f"{passage.place}: got {len(values)} options[{index}], expected two or more"
            )
        target = _option_number(answers[index], len(values), f"{passage.place}: answers[{index}]")
        if uneven := invalid_rows.describe_uneven(len(values)):
            invalid_rows.add(UNEVEN_CHOICES, f"{passage.place}: options[{index}]: {uneven}")
            continue
        yield Example(
            id=f"{source.name}/{passage_id}-{index}".lstrip("/"),
            texts=(article, *(fill_blank(question, option) for option in values)),
            target=target,
            source=source.name,
        )


def _option_number(answer: object, num_options: int, field: str) -> float:
    """Return the number, from 0, of the option that a letter names: A is 0.

    Raises:
        FieldError: It is not the letter, A to H, of one of the options.
    """
    letters = _LETTERS[:num_options]
    letter = as_text(answer, field)
    # `letter in letters` would take "" and "BC" for letters.
    if letter not in tuple(letters):
        place, _, name = field.rpartition(": ")
        raise FieldError(
            f"{place}: got {letter!r} as {name!r}, expected one of {', '.join(letters)}"
        )
    return float(letters.index(letter))


def fill_blank(question: str, option: str) -> str:
    """Return a question with an option in place of each `_`; else at its end, after a space."""
    return question.replace(_BLANK, option) if _BLANK in question else f"{question} {option}"
