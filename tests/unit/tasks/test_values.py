"""Values of task files that are not what their field is are refused by file and place."""

import json
from pathlib import Path
from typing import Any

import pytest

from albert_core.errors import InputError
from albert_core.tasks import (
    TASKS,
    InvalidRows,
    Source,
    Task,
    find_task,
    read_examples,
    read_questions,
)

NOT_TEXTS = [None, float("nan"), 12, True, ["The", "cat"], {"en": "hi"}, "so happy \ud83d"]
TEXT_TASK = Task(
    name="own",
    train=(Source(file="train.jsonl", id="id"),),
    texts=("text",),
    labels=("0", "1", "true", "False"),
    metrics=("accuracy",),
)
CHOICES = Task(
    name="choices",
    kind="multiple_choice",
    train=(Source(file="train.jsonl"),),
    texts=("text", "choices"),
    metrics=("accuracy",),
)
GOOD = {"id": 7, "text": "Rain again.", "label": 1}
GOOD_CHOICES = {"text": "It rains", "choices": ["now.", "never."], "label": 0}


def read_rows(folder: Path, task: Task, *rows: dict[str, Any], **reading: Any) -> Any:
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_examples(task, folder, "train", **reading)


@pytest.mark.parametrize("value", NOT_TEXTS, ids=ascii)
def test_a_text_that_is_none_is_refused_by_file_and_line(value: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.jsonl, line 2: got .* as 'text', expected text"):
        read_rows(tmp_path, TEXT_TASK, GOOD, {**GOOD, "id": 8, "text": value})


def test_such_rows_are_left_out_and_counted_if_that_is_asked_for(tmp_path: Path) -> None:
    rows = [{**GOOD, "id": number, "text": f"Row {number}."} for number in range(7)]
    rows += [{**GOOD, "text": value} for value in NOT_TEXTS]
    invalid_rows = InvalidRows("leave_out")
    assert len(read_rows(tmp_path, TEXT_TASK, *rows, invalid_rows=invalid_rows)) == 7
    assert invalid_rows.counts == {"wrong type": 7}
    with pytest.raises(InputError, match=r"got 7 of 8 rows that cannot be used \(7 wrong type\)"):
        read_rows(tmp_path, TEXT_TASK, *rows[6:], invalid_rows=InvalidRows("leave_out"))


@pytest.mark.parametrize(
    "label", [None, float("nan"), ["1"], {"value": 1}, "\udfff", 10**400], ids=ascii
)
def test_a_label_that_is_none_is_refused(label: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 1: got .* as 'label', expected text"):
        read_rows(tmp_path, TEXT_TASK, {**GOOD, "label": label})


@pytest.mark.parametrize(
    ("label", "target"), [("1", 1), (1, 1), (1.0, 1), (0, 0), (True, 2), (False, 3), ("true", 2)]
)
def test_labels_are_read_in_the_spelling_of_the_declaration(
    label: Any, target: int, tmp_path: Path
) -> None:
    (example,) = read_rows(tmp_path, TEXT_TASK, {**GOOD, "label": label})
    assert example.target == target


@pytest.mark.parametrize("value", [None, 1.5, True, [7], {"a": 1}, " ", "\ud800"], ids=ascii)
def test_an_id_that_is_none_is_refused(value: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 1: got .*id"):
        read_rows(tmp_path, TEXT_TASK, {**GOOD, "id": value})


@pytest.mark.parametrize(
    "change",
    [
        {"choices": ["now.", None]},
        {"choices": [1, 2]},
        {"choices": "now"},
        {"choices": {"a": "now."}},
        {"choices": ["now."]},
        {"choices": None},
        {"text": None},
        {"label": None},
        {"label": True},
        {"label": "1_0"},
        {"choices": ["now.", "half \ud83d"]},
        {"choices": ["now.", "later.", "never."]},
    ],
    ids=ascii,
)
def test_choices_are_texts_and_their_label_a_number(change: Any, tmp_path: Path) -> None:
    assert len(read_rows(tmp_path, CHOICES, GOOD_CHOICES)) == 1
    with pytest.raises(InputError, match=r"train\.jsonl, line 2: got"):
        read_rows(tmp_path, CHOICES, GOOD_CHOICES, {**GOOD_CHOICES, **change})


def test_templates_take_texts_and_join_lists_of_them(tmp_path: Path) -> None:
    task = Task(
        name="own",
        train=(Source(file="train.jsonl"),),
        texts=("{target[a]} and {target[b]}", "{words:, }"),
        labels=("0", "1"),
        metrics=("accuracy",),
    )
    row = {"target": {"a": "x", "b": "y"}, "words": ["one", "two"], "label": 1}
    (example,) = read_rows(tmp_path, task, row)
    assert example.texts == ("x and y", "one, two")
    for change, message in (
        ({"target": {"a": "x", "b": None}}, r"got null as 'target\[b\]', expected text"),
        ({"words": ["one", 2]}, r"got the number 2 as 'words\[1\]', expected text"),
        ({"words": "one"}, "as 'words', expected a list"),
        ({"target": {"a": "x"}}, "got no .* for task own"),
        ({"target": "x"}, "got no .* for task own"),
    ):
        with pytest.raises(InputError, match=message):
            read_rows(tmp_path, task, {**row, **change})


def squad(folder: Path, version: str = "v2.0", /, **changes: Any) -> Path:
    """Write a training and development set; `changes` are made to its second question."""
    context = changes.pop("context", "The tide is late.")
    question = {
        "id": "q2",
        "question": "What is late?",
        "answers": [{"text": "tide", "answer_start": 4}],
    }
    first = {**question, "id": "q1"}
    second = {key: value for key, value in {**question, **changes}.items() if value != "missing"}
    paragraph = {"context": context, "qas": [first, second]}
    text = json.dumps({"data": [{"title": "Tide", "paragraphs": [paragraph]}]})
    (folder / "squad").mkdir()
    for split in ("train", "dev"):
        (folder / f"squad/{split}-{version}.json").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("value", "expected"),
    [("False", False), ("false", False), ("0", False), (0, False), ("True", True), (1, True)],
)
def test_is_impossible_as_text_is_read_as_it_says(
    value: Any, expected: bool, tmp_path: Path
) -> None:
    task, folder = find_task("squad2", squad(tmp_path, is_impossible=value))
    _, question = read_questions(task, folder, "train")
    assert question.is_impossible is expected
    assert bool(question.answers) is not expected


@pytest.mark.parametrize("value", [None, "", "maybe", "None", 2, float("nan"), [], {}], ids=repr)
def test_is_impossible_that_says_neither_is_refused_by_file_and_question(
    value: Any, tmp_path: Path
) -> None:
    task, folder = find_task("squad2", squad(tmp_path, is_impossible=value))
    with pytest.raises(
        InputError,
        match=r"train-v2\.0\.json, question q2: got .* as 'is_impossible', expected true or false",
    ):
        read_questions(task, folder, "train")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"question": None}, "question q2: got null as 'question', expected text"),
        ({"question": 5}, "question q2: got the number 5 as 'question', expected text"),
        ({"answers": None}, "question q2: got null as 'answers', expected a list"),
        ({"answers": {"text": ["tide"], "answer_start": [4]}}, "got an object as 'answers'"),
        ({"answers": ["tide"]}, r"question q2, answers\[0\]: got the text 'tide', expected an ob"),
        ({"answers": [{"text": None, "answer_start": 4}]}, r"answers\[0\]: got null as 'text'"),
        ({"answers": [{"text": 2012, "answer_start": 4}]}, "got the number 2012 as 'text'"),
        ({"answers": [{"answer_start": 4}]}, r"answers\[0\]: got no 'text', only answer_start"),
        ({"answers": [{"text": "tide", "answer_start": None}]}, "got null as 'answer_start'"),
        ({"answers": [{"text": "tide", "answer_start": 4.5}]}, "got the number 4.5 as 'answer_st"),
        ({"answers": [{"text": "tide", "answer_start": True}]}, "got true as 'answer_start'"),
        ({"id": None}, r"paragraphs\[0\], qas\[1\]: got null as 'id', expected text or a whole"),
        ({"id": ["q2"]}, r"qas\[1\]: got a list as 'id'"),
        ({"id": "missing"}, r"qas\[1\]: got no 'id'"),
        ({"context": None}, r"paragraphs\[0\]: got null as 'context', expected text"),
        ({"context": "The tide \ud83d"}, r"paragraphs\[0\]: .* as 'context', expected text witho"),
        ({"question": "\ude00?"}, "question q2: .* as 'question', expected text without half"),
        ({"answers": [{"text": "tide", "answer_start": 10**400}]}, "'answer_start', expected a wh"),
        ({"answers": [{"text": "tide", "answer_start": "9" * 5000}]}, "as 'answer_start', expect"),
    ],
)
@pytest.mark.parametrize("split", ["train", "dev"])
def test_values_of_squad_are_refused_by_file_and_question(
    changes: Any, message: str, split: Any, tmp_path: Path
) -> None:
    task, folder = find_task("squad1", squad(tmp_path, "v1.1", **changes))
    with pytest.raises(InputError, match=rf"{split}-v1\.1\.json, .*{message}"):
        read_questions(task, folder, split)


def test_numbers_of_squad_may_be_written_as_text(tmp_path: Path) -> None:
    answers = [{"text": "tide", "answer_start": "4"}]
    task, folder = find_task("squad1", squad(tmp_path, "v1.1", id=2, answers=answers))
    question = read_questions(task, folder, "train")[1]
    assert (question.id, question.answers[0].start) == ("2", 4)


@pytest.mark.parametrize("text", ["[]", "null", '{"data": null}', '{"data": [1]}', "{", "[" * 9999])
def test_what_is_no_squad_file_is_refused(text: str, tmp_path: Path) -> None:
    task, folder = find_task("squad1", squad(tmp_path, "v1.1"))
    (folder / "dev-v1.1.json").write_text(text)
    with pytest.raises(InputError, match=r"dev-v1\.1\.json.*expected the SQuAD format"):
        read_questions(task, folder, "dev")


RACE = {
    "article": "The tide is late.",
    "questions": ["What is late? _"],
    "options": [["The tide", "The ship"]],
    "answers": ["B"],
    "id": "high1.txt",
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"article": None}, "got null as 'article', expected text"),
        ({"questions": [None]}, r"got null as 'questions\[0\]', expected text"),
        ({"questions": "What?"}, "as 'questions', expected a list"),
        ({"options": [["The tide", None]]}, r"got null as 'options\[0\]\[1\]', expected text"),
        ({"options": [["1", 2]]}, r"got the number 2 as 'options\[0\]\[1\]', expected text"),
        ({"options": ["AB"]}, r"got the text 'AB' as 'options\[0\]', expected a list"),
        ({"answers": [None]}, r"got null as 'answers\[0\]', expected text"),
        ({"answers": [""]}, r"got '' as 'answers\[0\]', expected one of A, B"),
        ({"answers": ["AB"]}, r"got 'AB' as 'answers\[0\]', expected one of A, B"),
        ({"answers": ["C"]}, r"got 'C' as 'answers\[0\]', expected one of A, B"),
        ({"answers": "B", "options": "x"}, "as 'options', expected a list|as 'answers', expected"),
        ({"answers": []}, "got 1 questions, 1 options and 0 answers, .* a passage of RACE"),
        ({"options": [["The tide"]], "answers": ["A"]}, r"got 1 options\[0\], expected two"),
        ({"article": "half \ud83d"}, "as 'article', expected text without half characters"),
        ({"options": [["\udc00", "b"]]}, r"as 'options\[0\]\[0\]', expected text without half"),
        ({"options": [["a", "b", "c"]]}, "got 3 choices, expected 2 as in the first row"),
        ({"id": None}, "got null as 'id'"),
    ],
)
@pytest.mark.parametrize("by_line", [False, True])
def test_values_of_race_are_refused_by_file_and_place(
    changes: Any, message: str, by_line: bool, tmp_path: Path
) -> None:
    task = TASKS["race-high"]
    path = tmp_path / "dev/high/1.txt"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(RACE))
    assert [example.target for example in read_examples(task, tmp_path, "dev")] == [1.0]
    wrong = json.dumps({**RACE, **changes})
    path.write_text(f"{json.dumps(RACE)}\n{wrong}" if by_line else wrong)
    path.with_name("0.txt").write_text(json.dumps(RACE))
    with pytest.raises(InputError, match=rf"1\.txt{', line 2' if by_line else ''}: .*{message}"):
        read_examples(task, tmp_path, "dev")


def test_passages_of_race_without_an_id_have_different_ones(tmp_path: Path) -> None:
    path = tmp_path / "dev/high/all.txt"
    path.parent.mkdir(parents=True)
    passage = json.dumps({name: value for name, value in RACE.items() if name != "id"})
    path.write_text(f"{passage}\n{passage}\n")
    path.with_name("one.txt").write_text(passage)
    ids = [example.id for example in read_examples(TASKS["race-high"], tmp_path, "dev")]
    assert ids == ["high/all.txt-1-0", "high/all.txt-2-0", "high/one.txt-0"]


def test_labels_of_a_declaration_are_texts_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    start = "name: own\ntexts: text\nmetrics: accuracy\n"
    for written, labels in (("[no, yes]", ("no", "yes")), ("[0, 1]", ("0", "1"))):
        path.write_text(f"{start}labels: {written}\n")
        (tmp_path / "dev.tsv").touch()
        task, _ = find_task(str(path), tmp_path)
        assert (task.labels, task.texts) == (labels, ("text",))
    path.write_text(f"{start}labels: [a, null]\n")
    with pytest.raises(InputError, match="labels"):
        find_task(str(path), tmp_path)


@pytest.mark.parametrize("key", ["has_header", "is_labelled", "is_optional"])
def test_a_truth_value_of_a_declaration_is_never_null(key: str, tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text(
        "name: own\ntexts: [0]\nlabels: [a, b]\nmetrics: [accuracy]\n"
        f"dev:\n- file: dev.tsv\n  {key}:\n"
    )
    with pytest.raises(InputError, match=rf"task\.yaml: got null as 'dev\[0\]\.{key}'"):
        find_task(str(tmp_path / "task.yaml"), tmp_path)
