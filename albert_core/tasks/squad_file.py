"""Read questions in the format of SQuAD, versions 1.1 and 2.0, and of Hugging Face's Parquet."""

from collections.abc import Iterator
from pathlib import Path

from albert_core.errors import InputError
from albert_core.row_formats import open_parquet
from albert_core.settings.json_values import FieldError, JsonObject, parse_json
from albert_core.storage import open_file
from albert_core.tasks.examples import Answer, InvalidRows, Question
from albert_core.tasks.source import Source
from albert_core.tasks.task import Task
from albert_core.tasks.text_files import open_unpacked_file, read_text

ANSWERS = "answers"  # the column of a Parquet file, whose `text` and `answer_start` are lists

_FORMAT = "the SQuAD format: JSON with data, paragraphs, context, qas"
_COLUMNS = ("id", "question", "context", ANSWERS)


def read_squad(
    task: Task, source: Source, path: Path, *, trains: bool, invalid_rows: InvalidRows
) -> Iterator[Question]:
    """Yield the questions of a file that can be used, in order; the others go to `invalid_rows`.

    These are questions with a missing key, a wrong type, an id that came before in this file, an
    empty question or context, no answer (where rows have labels), or one of the faults below.

    Args:
        task: The task; without unanswerable questions, those with `is_impossible` cannot be used.
        source: The file's declaration.
        path: The file.
        trains: Whether the first answer must stand where the file says; scores need its text only.
        invalid_rows: Collects questions that cannot be used.

    Raises:
        InputError: The file is missing or of another format, or a question cannot be used and
            `invalid_rows` refuses such.
    """
    seen: set[str] = set()
    is_parquet = task.source_format(source, path.name) == "parquet"
    questions = (
        _parquet_questions(task, source, path) if is_parquet else _questions(read_text(path), path)
    )
    for context, fields in questions:
        try:
            question = _question(context, fields, source)
        except FieldError as error:
            invalid_rows.add("missing key" if error.is_missing else "wrong type", str(error))
            continue
        place = fields.place
        if question.id in seen:
            invalid_rows.add("duplicate id", f"{place}: got this id again")
        elif not question.question.strip() or not context.strip():
            invalid_rows.add("empty text", f"{place}: got an empty question or context")
        elif question.is_impossible and not task.has_unanswerable:
            invalid_rows.add(
                "unanswerable",
                f"{place}: got is_impossible, expected none in task {task.name}; such questions "
                "are for task squad2, or for a task.yaml with has_unanswerable: true",
            )
        elif not question.answers and source.is_labelled and not question.is_impossible:
            flag = " or is_impossible" if task.has_unanswerable else ""
            invalid_rows.add("no answer", f"{place}: got no answer, expected one{flag}")
        elif trains and (misplaced := _misplaced_answer(question)):
            invalid_rows.add(
                "answer not in context",
                f"{place}: got answer {misplaced.text!r} at character {misplaced.start:,}, where "
                "the context has something else",
            )
        else:
            yield question
        seen.add(question.id)


def has_answers(path: str) -> bool:
    """Return whether any question of a file in SQuAD's JSON has an answer, or is said to have none.

    Args:
        path: The file, local, gs:// or s3://.

    Raises:
        InputError: The file is missing, damaged or not in the SQuAD format.
        UnicodeDecodeError: It is not UTF-8.
        ServiceError: The storage failed.
    """
    with open_unpacked_file(path) as file:
        text = file.read().decode("utf-8-sig")
    return any(
        question.values.get(ANSWERS) or question.truth("is_impossible", default=False)
        for _, question in _questions(text, path)
    )


def _questions(text: str, path: str | Path) -> Iterator[tuple[str, JsonObject]]:
    """Yield the context and the JSON object of each question, in the file's order.

    The object's place, for messages, ends in the question's id, where it has one.

    Args:
        text: The file's content.
        path: The file, for messages.

    Raises:
        InputError: The content is not in the SQuAD format.
    """
    content = parse_json(text, str(path), expected=_FORMAT)
    try:
        for article in JsonObject.of(content, str(path)).objects("data"):
            for paragraph in article.objects("paragraphs"):
                context = paragraph.text("context")
                for question in paragraph.objects("qas"):
                    yield context, _with_id_in_place(question, path)
    except FieldError as error:
        raise InputError(f"{error}; expected {_FORMAT}") from error


def _parquet_questions(task: Task, source: Source, path: Path) -> Iterator[tuple[str, JsonObject]]:
    """Yield the context of each row of a Parquet file, and the rest as an object of SQuAD's JSON.

    A question without answers is one that has none, if the task has such questions.

    Raises:
        InputError: The file is missing or no Parquet, lacks a column, or a context or the answers
            are of another type; names the row.
    """
    needed = [name for name in _COLUMNS if name != ANSWERS or source.is_labelled]
    with open_file(str(path)) as file:
        table = open_parquet(str(path), file)
        if missing := [name for name in needed if name not in table.names]:
            raise InputError(
                f"{path}: got the columns {', '.join(table.names) or 'none'}, expected "
                f"{', '.join(needed)}: no {missing[0]!r}"
            )
        for number, values in table.rows(needed):
            row = JsonObject(values, f"{path}, row {number}")
            fields = {"id": values["id"], "question": values["question"]}
            if source.is_labelled:
                fields[ANSWERS] = _answers_as_objects(row)
                fields["is_impossible"] = task.has_unanswerable and not fields[ANSWERS]
            yield row.text("context"), _with_id_in_place(JsonObject(fields, row.place), path)


def _answers_as_objects(row: JsonObject) -> list[dict[str, object]]:
    """Return the answers of a row, whose texts and offsets are two lists, one by one.

    Raises:
        FieldError: They are no such lists, or of different lengths.
    """
    answers = JsonObject.of(row.value(ANSWERS), f"{row.place}: {ANSWERS}")
    texts, starts = answers.items("text"), answers.items("answer_start")
    if len(texts) != len(starts):
        raise FieldError(
            f"{row.place}: got {len(texts)} texts and {len(starts)} answer_start in {ANSWERS}, "
            "expected as many"
        )
    return [{"text": text, "answer_start": at} for text, at in zip(texts, starts, strict=True)]


def _with_id_in_place(question: JsonObject, path: str | Path) -> JsonObject:
    try:
        return question.at(f"{path}, question {question.id('id')}")
    except FieldError:
        return question  # reading the id again names the place in the file


def _question(context: str, fields: JsonObject, source: Source) -> Question:
    """Return a question from its JSON object; an impossible one has no answers, whatever it lists.

    An answer without an offset gets -1.

    Raises:
        FieldError: A key is missing or of another type.
    """
    is_impossible = fields.truth("is_impossible", default=False)
    has_answers = not is_impossible and "answers" in fields
    answers = [
        Answer(answer.text("text"), answer.integer("answer_start", -1))
        for answer in (fields.objects("answers") if has_answers else ())
    ]
    return Question(
        id=fields.id("id"),
        question=fields.text("question"),
        context=context,
        answers=tuple(answers),
        is_impossible=is_impossible,
        source=source.name,
    )


def _misplaced_answer(question: Question) -> Answer | None:
    """Return the first answer if it is blank or other text is at its offset, else None.

    None for an impossible question; any other must have an answer (not checked).
    """
    if question.is_impossible:
        return None
    answer = question.answers[0]
    end = answer.start + len(answer.text)
    is_there = answer.start >= 0 and question.context[answer.start : end] == answer.text
    return None if is_there and answer.text.strip() else answer
