"""Whatever fine-tuning would refuse of a task's files is refused before anything is trained."""

import json
from pathlib import Path
from typing import Any

import pytest

from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig, QuestionConfig
from albert_core.finetuning.data_checks import check_task_data
from albert_core.tasks import TASKS, Task
from albert_core.tasks.declarations import read_task_file
from tests.helpers.tiny_tasks import JSONL

CHOICES = Task(
    name="own",
    kind="multiple_choice",
    **JSONL,
    test=JSONL["dev"],
    texts=("text", "choices"),
    metrics=("accuracy",),
)
SCORES = Task(name="own", kind="regression", **JSONL, texts=("text",), metrics=("pearson",))
ROW = {"text": "It rains", "choices": ["now.", "never.", "later."], "label": 0}


def write_rows(folder: Path, split: str, *rows: dict[str, Any]) -> None:
    (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("split", ["train", "dev"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"choices": ["now.", "never."]}, "got 2 choices, expected 3 as in the first row"),
        ({"choices": ["a", "b", "c", "d"]}, "got 4 choices, expected 3 as in the first row"),
        ({"text": "so happy \ud83d"}, ".* as 'text', expected text without half characters"),
    ],
)
def test_rows_of_every_split_are_read(change, message, split, tmp_path):
    for name in ("train", "dev"):
        write_rows(tmp_path, name, ROW, *([{**ROW, **change}] if name == split else []))
    with pytest.raises(InputError, match=rf"{split}\.jsonl, line 2: {message}") as caught:
        check_task_data(CHOICES, tmp_path, FinetuningConfig())
    assert ("--finetuning.bad_rows leave_out" in str(caught.value)) == (split == "train")


def test_splits_may_have_other_numbers_of_choices_and_rows_may_be_left_out(tmp_path):
    fewer = {**ROW, "choices": ["now.", "never."]}
    write_rows(tmp_path, "train", ROW, ROW, fewer)
    write_rows(tmp_path, "dev", fewer, fewer)
    check_task_data(CHOICES, tmp_path, FinetuningConfig(bad_rows="leave_out"))
    with pytest.raises(InputError, match=r"train\.jsonl, line 3: got 2 choices"):
        check_task_data(CHOICES, tmp_path, FinetuningConfig())


@pytest.mark.parametrize("label", [1e300, "-1e19", 10**30])
def test_scores_that_a_loss_cannot_hold_are_refused(label, tmp_path):
    write_rows(tmp_path, "train", ROW)
    write_rows(tmp_path, "dev", ROW, {**ROW, "label": label})
    with pytest.raises(InputError, match=r"dev\.jsonl, line 2: .* expected a number of at most 1e"):
        check_task_data(SCORES, tmp_path, FinetuningConfig())


def write_questions(folder: Path, split: str, *, question: str, context: str) -> None:
    answers = [{"text": context.split()[0], "answer_start": 0}]
    qas = [{"id": "q1", "question": question, "answers": answers}]
    text = json.dumps({"data": [{"paragraphs": [{"context": context, "qas": qas}]}]})
    (folder / f"{split}-v1.1.json").write_text(text)


LONG = "what did the old cat sit on so long"  # 9 words


@pytest.mark.parametrize("split", ["train", "dev"])
@pytest.mark.parametrize("has_vocabulary", [False, True])
def test_a_question_that_leaves_no_room_is_found(split, has_vocabulary, tokenizer, tmp_path):
    for name in ("train", "dev"):
        question = LONG if name == split else "what?"
        write_questions(tmp_path, name, question=question, context="The cat sat.")
    vocabulary = tokenizer if has_vocabulary else None
    config = FinetuningConfig(sequence_length=12)
    with pytest.raises(InputError, match=r"tokens leaves no room .*\(question q1\)"):
        check_task_data(TASKS["squad1"], tmp_path, config, vocabulary)
    for fitting in (
        FinetuningConfig(sequence_length=12, questions=QuestionConfig(max_query_length=4)),
        FinetuningConfig(sequence_length=60),
    ):
        check_task_data(TASKS["squad1"], tmp_path, fitting, vocabulary)


@pytest.mark.parametrize("split", ["train", "dev"])
@pytest.mark.parametrize("has_vocabulary", [False, True])
def test_a_set_of_contexts_without_a_visible_character_is_found(
    split, has_vocabulary, tokenizer, tmp_path
):
    for name in ("train", "dev"):
        context = "\u200b\u2060 \u200d" if name == split else "The cat sat."
        write_questions(tmp_path, name, question="what?", context=context)
    with pytest.raises(InputError, match=rf"1 questions in the {split} set, and no context"):
        check_task_data(
            TASKS["squad1"], tmp_path, FinetuningConfig(), tokenizer if has_vocabulary else None
        )


@pytest.mark.parametrize("split", ["train", "dev"])
def test_files_without_labels_train_and_score_nothing(split, tmp_path):
    path = tmp_path / "task.yaml"
    path.write_text(
        "name: own\ntexts: [text]\nlabels: [a, b]\nmetrics: [accuracy]\n"
        f"{split}: {{file: {split}.jsonl, is_labelled: false}}\n"
    )
    with pytest.raises(InputError, match=rf"is_labelled: false for {split}\.jsonl of the {split}"):
        read_task_file(path)
