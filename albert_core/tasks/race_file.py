"""Read the files of RACE: passages, each with multiple-choice questions."""

import json
from collections.abc import Iterator
from pathlib import Path

from albert_core.errors import InputError
from albert_core.json_values import FieldError, JsonObject, as_id, as_text, as_texts
from albert_core.tasks.examples import Example
from albert_core.tasks.tables import read_text
from albert_core.tasks.task import Source

_LETTERS = "ABCDEFGH"
_BLANK = "_"


def read_race(source: Source, path: Path) -> Iterator[Example]:
    """Yield the questions of a file, which is one JSON object or has one on each line.

    The texts of an example are the passage, then for every option the question with the option
    filled in (`fill_blank`). Source: `_create_examples` of the original's race_utils.py.

    Raises:
        InputError: The file is missing, not UTF-8, or not of this format.
    """
    text = read_text(path)
    # RACE is published both ways; a passage by itself may be spread over several lines.
    is_by_line = text.count('"article"') > 1
    for number, line in enumerate(text.split("\n") if is_by_line else [text], start=1):
        place = f"{path}, line {number}" if is_by_line else str(path)
        if line.strip():
            try:
                yield from _examples(JsonObject.of(json.loads(line), place), source, path)
            except FieldError as error:
                raise InputError(
                    f"{error}; expected a passage of RACE: article, questions, options, answers"
                ) from error
            except InputError:
                raise
            except (ValueError, RecursionError) as error:
                raise InputError(
                    f"{place}: not a passage of RACE ({type(error).__name__}: {error}); expected "
                    "JSON with article, questions, options, answers"
                ) from error


def _examples(passage: JsonObject, source: Source, path: Path) -> Iterator[Example]:
    """Yield an example for each question of a passage, in order; its id is source/passage-number.

    The passage's id is that of the file, or the file's name where it has none.

    Raises:
        FieldError: A field is missing or of another type, or an answer is no letter of an option.
        ValueError: There are not as many options and answers as questions.
    """
    article = passage.text("article")
    passage_id = as_id(passage.values.get("id", path.name), f"{passage.place}: id")
    questions, answers = passage.texts("questions"), passage.items("answers")
    rows = zip(questions, passage.items("options"), answers, strict=True)
    for index, (question, values, answer) in enumerate(rows):
        options = as_texts(values, f"{passage.place}: options[{index}]")
        yield Example(
            id=f"{source.name}/{passage_id}-{index}".lstrip("/"),
            texts=(article, *(fill_blank(question, option) for option in options)),
            target=_option_number(answer, len(options), f"{passage.place}: answers[{index}]"),
            source=source.name,
        )


def _option_number(answer: object, num_options: int, field: str) -> float:
    """Return the number, from 0, of the option that a letter names: A is 0.

    Raises:
        FieldError: It is not the letter of one of the options.
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
    """Return a question with an option in place of its blank `_`, or appended if it has none."""
    return question.replace(_BLANK, option) if _BLANK in question else f"{question} {option}"
