"""SQuAD in the Parquet of Hugging Face gives the questions of its JSON."""

import dataclasses
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from albert_core.errors import InputError
from albert_core.tasks import TASKS, InvalidRows, Question, Source, Task, find_task, read_questions
from albert_core.tasks.description import describe_files

CONTEXT = "Ann lives in Rome."
ROWS: list[dict[str, Any]] = [
    {"id": "a", "question": "Where?", "answers": {"text": ["Rome"], "answer_start": [13]}},
    {"id": "b", "question": "When?", "answers": {"text": [], "answer_start": []}},
]
ANSWERS = pyarrow.struct(
    {"text": pyarrow.list_(pyarrow.string()), "answer_start": pyarrow.list_(pyarrow.int32())}
)


def write_parquet(path: Path, rows: list[dict[str, Any]], **more: Any) -> None:
    columns = {name: [row[name] for row in rows] for name in ("id", "question")}
    answers = pyarrow.array([row["answers"] for row in rows], ANSWERS)
    contexts = {"title": ["t"] * len(rows), "context": [CONTEXT] * len(rows)}
    table = {**columns, "answers": answers, **contexts, **more}
    pyarrow.parquet.write_table(pyarrow.table(table), path)


def write_json(path: Path, rows: list[dict[str, Any]]) -> None:
    questions = []
    for row in rows:
        pairs = zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True)
        answers = [{"text": text, "answer_start": start} for text, start in pairs]
        questions.append({**row, "answers": answers, "is_impossible": not answers})
    data = [{"paragraphs": [{"context": CONTEXT, "qas": questions}]}]
    path.write_text(json.dumps({"data": data}))


def questions_in(task: Task, file: str, folder: Path, **arguments: Any) -> list[Question]:
    task = dataclasses.replace(task, train=(Source(file=file),))
    return read_questions(task, folder, "train", **arguments)


def test_parquet_has_the_questions_of_the_json(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", ROWS)
    write_json(tmp_path / "train.json", ROWS)
    questions = questions_in(TASKS["squad2"], "train.parquet", tmp_path)
    assert questions == questions_in(TASKS["squad2"], "train.json", tmp_path)
    assert [one.is_impossible for one in questions] == [False, True]
    invalid = InvalidRows("leave_out")
    kept = questions_in(TASKS["squad1"], "train.parquet", tmp_path, invalid_rows=invalid)
    assert ([one.id for one in kept], invalid.counts) == (["a"], {"no answer": 1})


def test_a_copy_of_the_data_set_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "squad_v2" / "squad_v2"
    folder.mkdir(parents=True)
    for split in ("train", "validation"):
        write_parquet(folder / f"{split}-00000-of-00001.parquet", ROWS)
    task, found = find_task("squad2", tmp_path)
    assert found == folder
    assert len(read_questions(task, folder, "dev")) == 2
    assert describe_files(task, folder) == (
        "train: train-*-of-00001.parquet (Parquet); dev: validation-*-of-00001.parquet (Parquet)"
    )
    (tmp_path / "task.yaml").write_text(
        "name: own\nkind: question_answering\nmetrics: [f1]\nhas_unanswerable: true\n"
    )
    write_parquet(tmp_path / "train.parquet", ROWS)
    write_parquet(tmp_path / "test.parquet", ROWS)
    task, folder = find_task(str(tmp_path / "task.yaml"), tmp_path)
    assert task.test[0].is_labelled
    assert len(read_questions(task, folder, "test")) == 2


def test_parquet_of_version_1_is_not_taken_for_version_2(tmp_path: Path) -> None:
    for name, rows in (("squad", ROWS[:1]), ("squad_v2", ROWS)):
        with pytest.raises(InputError, match=r"task squad2: .*format \(not in squad or SQuAD\)$"):
            find_task("squad2", tmp_path)
        (tmp_path / name).mkdir()
        for split in ("train", "validation"):
            write_parquet(tmp_path / name / f"{split}-00000-of-00001.parquet", rows)
    task, folder = find_task("squad2", tmp_path)
    assert folder == tmp_path / "squad_v2"
    assert [one.id for one in read_questions(task, folder, "train")] == ["a", "b"]
    assert find_task("squad1", tmp_path)[1] == tmp_path / "squad"
    for split in ("train", "dev"):
        write_json(tmp_path / "squad" / f"{split}-v2.0.json", ROWS)
    assert find_task("squad2", tmp_path) == (TASKS["squad2"], tmp_path / "squad")


def test_a_folder_with_a_dev_set_alone_gives_way_to_one_with_both(tmp_path: Path) -> None:
    for name in ("squad", "squad_v2"):
        (tmp_path / name).mkdir()
    write_json(tmp_path / "squad" / "dev-v2.0.json", ROWS)
    assert find_task("squad2", tmp_path)[1] == tmp_path / "squad"
    for split in ("train", "dev"):
        write_json(tmp_path / f"{split}-v2.0.json", ROWS)  # beside the named folders
    assert find_task("squad2", tmp_path)[1] == tmp_path / "squad"
    for split in ("train", "validation"):
        write_parquet(tmp_path / "squad_v2" / f"{split}-00000-of-00001.parquet", ROWS)
    assert find_task("squad2", tmp_path)[1] == tmp_path / "squad_v2"


def test_parquet_of_version_1_is_refused_where_its_folder_does_not_tell(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        write_parquet(tmp_path / f"{split}-00000-of-00001.parquet", ROWS[:1])
    task, folder = find_task("squad2", tmp_path)
    with pytest.raises(InputError, match=r"got 1 questions that all have an answer.* task squad1"):
        read_questions(task, folder, "train")
    assert len(read_questions(task, folder, "dev")) == 1


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["test.json", "test.json.gz"])
@pytest.mark.parametrize(
    ("question", "is_labelled"),
    [
        ({"answers": [{"text": "Rome", "answer_start": 13}]}, True),
        ({"answers": [], "is_impossible": True}, True),
        ({"answers": [], "is_impossible": False}, False),
        ({}, False),
    ],
)
def test_json_with_answers_is_scored_however_it_is_written(
    question: dict[str, Any], is_labelled: bool, name: str, indent: int | None, tmp_path: Path
) -> None:
    (tmp_path / "task.yaml").write_text(
        "name: own\nkind: question_answering\nmetrics: [f1]\nhas_unanswerable: true\n"
    )
    write_json(tmp_path / "train.json", ROWS)
    asked = [{"id": "a", "question": "Who?"}, {"id": "b", "question": "Where?", **question}]
    data = [{"paragraphs": [{"context": CONTEXT, "qas": asked}]}]
    content = json.dumps({"data": data}, indent=indent).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    (source,) = find_task(str(tmp_path / "task.yaml"), tmp_path)[0].test
    assert source.is_labelled == is_labelled


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"context": [None]}, "row 1: got null as 'context', expected text"),
        ({"answers": ["Rome"]}, "row 1: answers: got the text 'Rome', expected an object"),
        ({"question": [5]}, "question a: got the number 5 as 'question', expected text"),
        ({"id": [None]}, "row 1: got null as 'id', expected text or a whole"),
        (
            {"answers": pyarrow.array([{"text": ["Rome"], "answer_start": []}], ANSWERS)},
            "row 1: got 1 texts and 0 answer_start in answers, expected as many",
        ),
        (
            {"answers": pyarrow.array([{"text": ["Rome"], "answer_start": [3]}], ANSWERS)},
            "question a: got answer 'Rome' at character 3, where the context has something",
        ),
    ],
)
def test_a_wrong_row_is_named(more: dict[str, Any], message: str, tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", ROWS[:1], **more)
    with pytest.raises(InputError, match=rf"train\.parquet, {message}"):
        questions_in(TASKS["squad2"], "train.parquet", tmp_path)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"id": ["a"]}), tmp_path / "train.parquet")
    with pytest.raises(
        InputError, match=r"got the columns id, expected id, question, .*'question'"
    ):
        questions_in(TASKS["squad1"], "train.parquet", tmp_path)
