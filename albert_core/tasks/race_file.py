"""Read the files of RACE: passages, each with multiple-choice questions."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from albert_core.errors import InputError
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
        InputError: The file is not of this format.
    """
    text = read_text(path)
    # RACE is published both ways; a passage by itself may be spread over several lines.
    for line in text.split("\n") if text.count('"article"') > 1 else [text]:
        if line.strip():
            try:
                yield from _examples(json.loads(line), source, path)
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise InputError(
                    f"{path}: not a passage of RACE ({type(error).__name__}: {error}); expected "
                    "article, questions, options, answers"
                ) from error


def _examples(passage: dict[str, Any], source: Source, path: Path) -> Iterator[Example]:
    rows = zip(passage["questions"], passage["options"], passage["answers"], strict=True)
    for index, (question, options, answer) in enumerate(rows):
        yield Example(
            id=f"{source.name}/{passage.get('id', path.name)}-{index}".lstrip("/"),
            texts=(passage["article"], *(fill_blank(question, option) for option in options)),
            target=float(_LETTERS[: len(options)].index(answer)),
            source=source.name,
        )


def fill_blank(question: str, option: str) -> str:
    """Return a question with an option in place of its blank `_`, or appended if it has none."""
    return question.replace(_BLANK, option) if _BLANK in question else f"{question} {option}"
