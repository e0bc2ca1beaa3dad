"""Read questions in the format of SQuAD, versions 1.1 and 2.0."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from albert_core.errors import InputError
from albert_core.tasks.examples import Answer, InvalidRows, Question
from albert_core.tasks.tables import read_text
from albert_core.tasks.task import Source, Task


def read_squad(
    task: Task, source: Source, path: Path, *, trains: bool, invalid_rows: InvalidRows
) -> Iterator[Question]:
    """Yield the questions of a file, in its order.

    Args:
        task: The task; without unanswerable questions, `is_impossible` in a file is refused.
        source: The file's declaration.
        path: The file.
        trains: Whether the first answer must stand where the file says; scores need its text only.
        invalid_rows: Collects questions that cannot be used.

    Raises:
        InputError: The file is missing or of another format, or a question cannot be used and
            `invalid_rows` refuses such.
    """
    seen: set[str] = set()
    for context, values in _questions(path):
        question = _question(context, values, source, path)
        place = f"{path}, question {question.id}"
        if question.id in seen:
            invalid_rows.add("duplicate id", f"{place}: got this id again")
        elif not question.question.strip() or not context.strip():
            invalid_rows.add("empty text", f"{place}: got an empty question or context")
        elif question.is_impossible and not task.has_unanswerable:
            invalid_rows.add(
                "unanswerable",
                f"{place}: got is_impossible, expected none in task {task.name} (declare "
                "has_unanswerable, as squad2 does)",
            )
        elif not question.answers and source.is_labelled and not question.is_impossible:
            invalid_rows.add("no answer", f"{place}: got no answer, expected one")
        elif trains and (misplaced := _misplaced_answer(question)):
            invalid_rows.add(
                "answer not in context",
                f"{place}: got answer {misplaced.text!r} at character {misplaced.start:,}, where "
                "the context has something else",
            )
        else:
            yield question
        seen.add(question.id)


def _questions(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        data = json.loads(read_text(path))["data"]
        for article in data:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    yield paragraph["context"], question
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not in the SQuAD format ({type(error).__name__}: {error}); expected JSON "
            "with data, paragraphs, context, qas"
        ) from error


def _question(context: str, values: Mapping[str, Any], source: Source, path: Path) -> Question:
    try:
        is_impossible = bool(values.get("is_impossible", False))
        answers = () if is_impossible else values.get("answers", ())
        return Question(
            id=str(values["id"]),
            question=values["question"],
            context=context,
            answers=tuple(Answer(a["text"], int(a.get("answer_start", -1))) for a in answers),
            is_impossible=is_impossible,
            source=source.name,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: a question is not in the SQuAD format ({type(error).__name__}: {error}); "
            "expected id, question, and answers with text and answer_start"
        ) from error


def _misplaced_answer(question: Question) -> Answer | None:
    """Return the answer to train on if the context has other text at its offset, else None."""
    if question.is_impossible:
        return None
    answer = question.answers[0]
    end = answer.start + len(answer.text)
    is_there = answer.start >= 0 and question.context[answer.start : end] == answer.text
    return None if is_there and answer.text.strip() else answer
